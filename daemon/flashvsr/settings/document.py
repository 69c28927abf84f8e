"""A TOML text with the lines of its keys, and the reading of its tables into checked values.

Problems are collected as sentences, not raised: a person mending a file wants all of them at once.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

from flashvsr.errors import BadConfig
from flashvsr.settings import escaped
from flashvsr.settings.bounds import Bounds, too_much
from flashvsr.settings.kinds import Kind, Refused, shown
from flashvsr.settings.options import options
from flashvsr.settings.suggestions import did_you_mean, for_value
from flashvsr.settings.syntax import syntax_problem
from flashvsr.settings.toml_lines import Key, key_lines
from flashvsr.system.text import visible

MOST_SHOWN = 30  # a file with more problems than this was not meant as settings
MOST_TEXT = 8_000  # characters of all problems together: they are stored, logged and read on a screen
_LONGEST_NAME = 60  # characters of a key in a message


@dataclass(frozen=True)
class Setting:
    """An accepted value and where it came from, to start a message with: `file:line: key` or a variable."""

    value: Any
    label: str


@dataclass(frozen=True)
class Document:
    """A parsed TOML text. `origin` is its path or another name for messages; lines may be unknown."""

    origin: str
    data: Mapping[str, object] = field(default_factory=dict)
    lines: Mapping[Key, int] = field(default_factory=dict)

    def label(self, key: Key) -> str:
        """Name a place: `file:line: dotted.key`."""
        line = next((self.lines[key[:end]] for end in range(len(key), 0, -1) if key[:end] in self.lines), None)
        return f"{self.origin}{'' if line is None else f':{line}'}: {dotted(key)}"


def parse(text: str, origin: str, problems: list[str], limits: Bounds) -> Document | None:
    """Parse a TOML text; where that fails, or the text is beyond its limits, add one problem with its line."""
    text = text.removeprefix("\ufeff")
    beyond = too_much(text, limits)
    if beyond is not None:
        problems.append(f"{origin}:{beyond.line}: {beyond.what}")
        return None
    try:
        data = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number with thousands of digits
        problems.append(syntax_problem(text, origin, str(error)))
        return None
    return Document(origin, data, key_lines(text))


def parse_value(text: str, limits: Bounds) -> object:
    """Read one value of TOML; what is none is taken for the text itself, a bare word."""
    line = f"value = {text}"
    try:
        data = {} if too_much(line, limits) else tomllib.loads(line)
    except ValueError:
        return text
    return data["value"] if len(data) == 1 else text  # more keys: the text held a line end, no single value


def read_table(
    table: type,
    data: object,
    document: Document,
    problems: list[str],
    *,
    at: Key = (),
    base: Path = Path(),
    advise: Callable[[str], str] = lambda key: "",
) -> dict[str, Setting]:
    """Check one table against the options of a dataclass; return the accepted values by key.

    `at` is the table's place in the document, `base` the folder relative paths start from. A wrong value, an
    unknown key and (for options without default) a missing key each add a problem. `advise` says what there is
    instead of an unknown key, where it knows.
    """
    if not isinstance(data, Mapping):
        secret = any(item.kind.secret for item in options(table))
        problems.append(f"{document.label(at)}{'' if secret else f' = {shown(data)}'}: expected a table")
        return {}
    known = {item.key: item for item in options(table)}
    accepted = {}
    for key, value in data.items():
        if key in known:
            setting = check(key, known[key].kind, value, document.label((*at, key)), problems, base=base)
            if setting is not None:
                accepted[key] = setting
        elif len(problems) >= MOST_SHOWN:
            problems.append(f"{document.label((*at, key))}: unknown")  # counted, not shown: no time is spent on it
        else:
            noun = "table" if isinstance(value, Mapping) else "key"
            problems.append(unknown_key(document, (*at, key), tuple(known), noun, advise(key)))
    for key, item in known.items():
        if item.default is MISSING and key not in data:
            problems.append(f"{document.label(at)}: {key} is missing; it must be {item.kind.allowed}")
    return accepted


def check(
    key: str, kind: Kind, value: object, label: str, problems: list[str], *, base: Path = Path()
) -> Setting | None:
    """Accept the value of `key`, or add a problem that shows it, unless it is secret, and says what is allowed."""
    try:
        return Setting(kind.accept(_read(value), base), label)
    except Refused as refusal:
        hint = str(refusal) or ("" if kind.secret else for_value(key, kind, value))
        found = "" if kind.secret else f" = {shown(value)}"
        problems.append(f"{label}{found}: expected {kind.allowed}{'; ' if hint else ''}{hint}")
        return None


def _read(value: object) -> object:
    try:
        return escaped.read(value)
    except ValueError as error:
        raise Refused(str(error)) from error


def unknown_key(document: Document, key: Key, known: Sequence[str], noun: str = "key", advice: str = "") -> str:
    """The problem of a key (or table) that does not exist: a known name it is a slip of, advice, or all names."""
    near = did_you_mean(str(key[-1]), known) or advice
    return f"{document.label(key)}: unknown {noun}; {near or 'known here: ' + ', '.join(known)}"


def dotted(key: Key) -> str:
    """Write a key as TOML does; a number of an array of tables stands in brackets, counted from 1."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", part)
            word = visible(part if bare else json.dumps(part, ensure_ascii=False), _LONGEST_NAME)
            text += f".{word}" if text else word
    return text


def raise_problems(problems: Sequence[str]) -> None:
    """Raise BadConfig with all problems, one per line, if there are any (of a flood only the first)."""
    if len(problems) == 1:
        raise BadConfig(problems[0])
    if problems:
        shown_problems: list[str] = []
        for problem in problems[:MOST_SHOWN]:
            if shown_problems and sum(map(len, shown_problems)) + len(problem) > MOST_TEXT:
                break
            shown_problems.append(problem)
        rest = len(problems) - len(shown_problems)
        more = [f"and {rest} more"] if rest else []
        raise BadConfig(f"{len(problems)} problems in the settings:", *shown_problems, *more)
