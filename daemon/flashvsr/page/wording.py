"""The page's words in its two languages, from `words.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flashvsr.status.estimate import GUESSED, MEASURED, Estimate, estimate_text, span_text

ENGLISH, CHINESE = "en", "zh"
LANGUAGES = (ENGLISH, CHINESE)
_FILE = Path(__file__).with_name("words.toml")
_CHINESE_UNITS = {"second": "秒", "minute": "分钟", "hour": "小时", "day": "天"}


@dataclass(frozen=True)
class Both:
    """A text in both languages."""

    en: str
    zh: str

    def of(self, language: str) -> str:
        """Return it in one of `LANGUAGES`."""
        return self.zh if language == CHINESE else self.en


def form(key: str, language: str, values: Mapping[str, object]) -> str:
    """The text before anything is filled in. KeyError if there is none of that name."""
    entry = _words()[key]
    if language == ENGLISH and values.get("n") == 1 and "one" in entry:
        return entry["one"]
    return entry[language]


def keys() -> frozenset[str]:
    """The names of all texts."""
    return frozenset(_words())


@cache
def _words() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def estimated(found: Estimate) -> Both:
    """How long something will take, for example "about 25 minutes"."""
    return Both(estimate_text(found), _chinese_estimate(found))


def span(seconds: float) -> Both:
    """How long something took, for example "25 minutes"."""
    return Both(span_text(seconds), _chinese_span(seconds))


def _chinese_span(seconds: float) -> str:
    number, unit = span_text(seconds).split()
    return f"{number} {_CHINESE_UNITS[unit.removesuffix('s')]}"


def _chinese_estimate(found: Estimate) -> str:
    if found.basis == MEASURED:
        return f"大约 {_chinese_span((found.least + found.most) / 2)}"
    perhaps = "可能 " if found.basis == GUESSED else "大约 "
    least, most = _chinese_span(found.least), _chinese_span(found.most)
    if least == most:
        return f"{perhaps}{most}"
    number, unit = least.split()
    return f"{perhaps}{number if unit == most.split()[1] else least} 到 {most}"
