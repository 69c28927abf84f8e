"""A TOML text with the lines of its keys, and the reading of its tables into checked values.

Problems are collected as sentences, not raised: a person mending a file wants all of them at once.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

from flashvsr.errors import BadConfig
from flashvsr.settings import escaped
from flashvsr.settings.kinds import Kind, Refused, did_you_mean, shown
from flashvsr.settings.schema import options
from flashvsr.settings.toml_lines import Key, key_lines

MOST_SHOWN = 100  # a file with more problems than this was not meant as settings


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


def parse(text: str, origin: str, problems: list[str]) -> Document | None:
    """Parse a TOML text; on a syntax error add one problem with its line and return None."""
    text = text.removeprefix("\ufeff")
    try:
        data = tomllib.loads(text)
    except RecursionError:
        problems.append(f"{origin}: not valid TOML: brackets nested too deeply")
        return None
    except ValueError as error:  # TOMLDecodeError, or a number with thousands of digits
        problems.append(_syntax_problem(text, origin, str(error)))
        return None
    return Document(origin, data, key_lines(text))


def read_table(
    table: type, data: object, document: Document, problems: list[str], *, at: Key = (), base: Path = Path()
) -> dict[str, Setting]:
    """Check one table against the options of a dataclass; return the accepted values by key.

    `at` is the table's place in the document, `base` the folder relative paths start from. A wrong value, an
    unknown key and (for options without default) a missing key each add a problem.
    """
    if not isinstance(data, Mapping):
        problems.append(f"{document.label(at)} = {shown(data)}: expected a table")
        return {}
    known = {item.key: item for item in options(table)}
    accepted = {}
    for key, value in data.items():
        if key in known:
            setting = check(known[key].kind, value, document.label((*at, key)), problems, base=base)
            if setting is not None:
                accepted[key] = setting
        else:
            noun = "table" if isinstance(value, Mapping) else "key"
            problems.append(unknown_key(document, (*at, key), tuple(known), noun))
    for key, item in known.items():
        if item.default is MISSING and key not in data:
            problems.append(f"{document.label(at)}: {key} is missing; it must be {item.kind.allowed}")
    return accepted


def check(kind: Kind, value: object, label: str, problems: list[str], *, base: Path = Path()) -> Setting | None:
    """Accept one value, or add a problem that shows it and says what is allowed."""
    try:
        return Setting(kind.accept(_read(value), base), label)
    except Refused as refusal:
        hint = f"; {refusal}" if str(refusal) else ""
        problems.append(f"{label} = {shown(value)}: expected {kind.allowed}{hint}")
        return None


def _read(value: object) -> object:
    try:
        return escaped.read(value)
    except ValueError as error:
        raise Refused(str(error)) from error


def unknown_key(document: Document, key: Key, known: Sequence[str], noun: str = "key") -> str:
    """The problem of a key (or table) that does not exist, with the nearest name or all names."""
    near = did_you_mean(str(key[-1]), tuple(known))
    return f"{document.label(key)}: unknown {noun}; {near or 'known here: ' + ', '.join(known)}"


def dotted(key: Key) -> str:
    """Write a key as TOML does; a number of an array of tables stands in brackets, counted from 1."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            word = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part, ensure_ascii=False)
            text += f".{word}" if text else word
    return text


def raise_problems(problems: Sequence[str]) -> None:
    """Raise BadConfig with all problems, one per line, if there are any (of a flood only the first)."""
    if len(problems) == 1:
        raise BadConfig(problems[0])
    if problems:
        rest = len(problems) - MOST_SHOWN
        more = [f"and {rest} more"] if rest > 0 else []
        raise BadConfig(f"{len(problems)} problems in the settings:", *problems[:MOST_SHOWN], *more)


def _syntax_problem(text: str, origin: str, reason: str) -> str:
    match = re.fullmatch(
        r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", reason, re.S
    )
    if match is None:
        return f"{origin}: not valid TOML: {reason}"
    lines = text.splitlines() or [""]
    line = int(match["line"] or len(lines))
    content = lines[line - 1].strip() if line <= len(lines) else ""
    hint = ""
    if match["what"] == "Invalid value":
        hint = '; text needs quotes, as in key = "text", and true and false are lower case'
    elif match["what"].startswith("Cannot overwrite"):
        hint = "; the same key stands there twice"
    elif match["what"].startswith("Cannot declare"):
        hint = "; the same table stands there twice"
    return f"{origin}:{line}: not valid TOML: {match['what']} in {shown(content)}{hint}"
