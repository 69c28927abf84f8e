"""The words of the page: all there are, in both languages, with the same places to fill in."""

from __future__ import annotations

import re
from string import Formatter

import pytest

from flashvsr.jobs.schema import FINISHED, QUEUED, RUNNING
from flashvsr.page import content, render, wording
from flashvsr.page.troubles import KINDS
from flashvsr.page.wording import LANGUAGES, estimated, form, keys, span
from flashvsr.status import phase
from flashvsr.status.estimate import GUESSED, MEASURED, NEAR, Estimate
from flashvsr.status.snapshot import RESTING, STARTING, STOPPING


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("key", sorted(keys()))
def test_both_languages_say_it(key: str) -> None:
    english, chinese = (form(key, language, {}) for language in LANGUAGES)
    assert fields(english) == fields(chinese) == fields(form(key, "en", {"n": 1})) | (fields(english) & {"n"})
    if key != "title":
        assert re.search("[\u4e00-\u9fff]", chinese)
        assert not re.search("[\u4e00-\u9fff]", english)


def test_every_kind_and_state_has_its_words() -> None:
    wanted = {f"{word}_{kind}" for kind in KINDS for word in ("trouble", "todo")}
    wanted |= {f"job_{state}" for state in FINISHED} | set(render._TODO.values())
    wanted |= {f"state_{word}" for word in (STARTING, RESTING, STOPPING, content.STOPPED)}
    words = [value for name, value in vars(phase).items() if name.isupper() and isinstance(value, str)]
    wanted |= {f"phase_{word}" for word in words if word not in (phase.WORKING, phase.NO_SPACE, QUEUED, RUNNING)}
    assert wanted <= keys()


def test_no_words_are_left_over() -> None:
    used = "".join(path.read_text() for path in wording._FILE.parent.iterdir() if path.suffix in (".jinja", ".py"))
    built = ("trouble_", "todo_", "job_", "state_", "phase_")
    assert {key for key in keys() if f'"{key}"' not in used and not key.startswith(built)} == set()


def test_one_is_not_many() -> None:
    assert form("frames", "en", {"n": 1}) == "1 frame"
    assert form("frames", "en", {"n": 2}) == "{n} frames"


@pytest.mark.parametrize(
    ("found", "english", "chinese"),
    [
        (Estimate(1490, 1510, MEASURED), "about 25 minutes", "大约 25 分钟"),
        (Estimate(1200, 2400, NEAR), "20 to 40 minutes", "大约 20 到 40 分钟"),
        (Estimate(1200, 12_000, GUESSED), "perhaps 20 minutes to 3 hours", "可能 20 分钟 到 3 小时"),
        (Estimate(7200, 7200, GUESSED), "perhaps 2 hours", "可能 2 小时"),
    ],
)
def test_lengths_of_time(found: Estimate, english: str, chinese: str) -> None:
    assert (estimated(found).en, estimated(found).zh) == (english, chinese)


def test_a_span() -> None:
    assert [span(600).of(language) for language in LANGUAGES] == ["10 minutes", "10 分钟"]
