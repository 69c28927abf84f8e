"""Finds the line of each key of a TOML text; the parser in the standard library does not tell."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections import Counter

Key = tuple[str | int, ...]  # ("gpu", "devices"); a table of an array carries its number: ("inbox", 0, "path")

# Nothing in these patterns is matched in two ways, and nothing given back: each takes time by the length of its match.
STRING = (
    r'"""(?:[^"\\]++|\\.|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']++|'{1,2}(?!'))*+'{3,5}"
    r'|"(?!"")(?:[^"\\\n]++|\\[^\n])*+"'
    r"|'(?!'')[^'\n]*+'"
)
_SPACE = re.compile(r"(?:\s++|#[^\n]*+)*+")
_PART = re.compile(rf"[ \t]*+({STRING}|[A-Za-z0-9_-]++)[ \t]*+", re.DOTALL)
_IN_VALUE = re.compile(rf"{STRING}|#[^\n]*+|[\[{{]|[\]}}]|\n|[^\"'#\[\]{{}}\n]++", re.DOTALL)


def key_lines(text: str) -> dict[Key, int]:
    """Map each key and table header of a valid TOML text to its line, counted from 1.

    The text is within `flashvsr.settings.bounds`: a key of n parts takes time by the square of n. Keys inside
    inline tables are left out: use the line of the key that holds the inline table.
    """
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    lines: dict[Key, int] = {}
    arrays: Counter[Key] = Counter()
    table: Key = ()
    position = _skip(_SPACE, text, 0)
    while position < len(text):
        line = bisect_right(starts, position)
        if text[position] == "[":
            double = text.startswith("[[", position)
            parts, position = _dotted(text, position + 1 + double)
            table = _numbered(parts[:-1], arrays)
            table = (*table, parts[-1])
            if double:
                arrays[table] += 1
            table = _numbered(parts, arrays)
            for length in range(1, len(table) + 1):
                lines.setdefault(table[:length], line)
            position += 1 + double
        else:
            parts, position = _dotted(text, position)
            for length in range(1, len(parts) + 1):
                lines.setdefault((*table, *parts[:length]), line)
            position = _after_value(text, position + 1)
        position = _skip(_SPACE, text, position)
    return lines


def _dotted(text: str, position: int) -> tuple[tuple[str, ...], int]:
    """Read a dotted key; return its parts and the position of what ends it."""
    parts = []
    while match := _PART.match(text, position):
        word = match[1]
        parts.append(_plain(word))
        position = match.end()
        if not text.startswith(".", position):
            return tuple(parts), position
        position += 1
    raise ValueError(f"no key at character {position}")


def _plain(word: str) -> str:
    """A part of a key without its quotes and escapes."""
    if word.startswith('"') and "\\" in word:
        return str(tomllib.loads(f"word = {word}")["word"])
    return word[1:-1] if word[0] in "\"'" else word


def _numbered(parts: tuple[str, ...], arrays: Counter[Key]) -> Key:
    """Put the number of the current table after each name of an array of tables."""
    key: Key = ()
    for part in parts:
        key = (*key, part)
        if arrays[key]:
            key = (*key, arrays[key] - 1)
    return key


def _after_value(text: str, position: int) -> int:
    """Return the position after the line end that closes the value starting here."""
    depth = 0
    while match := _IN_VALUE.match(text, position):
        position = match.end()
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if match[0] == "\n" and depth <= 0:
            break
    return position


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position
