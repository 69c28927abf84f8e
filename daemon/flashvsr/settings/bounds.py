"""How much a text of settings may hold, seen before anything parses it.

The parser of the standard library takes time and memory by the square of the parts of a key, and settings come from
shares. So a first look, which costs as much as the text is long, refuses what no setting needs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from flashvsr.settings.toml_lines import STRING

LONGEST_LINE = 16_384  # characters
MOST_PARTS = 8  # of a key: "inbox.path" has two
MOST_BRACKETS = 8  # open at the same time


@dataclass(frozen=True)
class Bounds:
    """The most bytes and keys (headers of tables are counted, too) of one kind of text, and what it is called."""

    bytes: int
    keys: int
    noun: str

    @property
    def size(self) -> str:
        """The bytes, for people."""
        return f"{self.bytes >> 20} MiB" if self.bytes >= 1 << 20 else f"{self.bytes >> 10} KiB"


PRESET_LIMITS = Bounds(64 << 10, 200, "preset")
CONFIG_LIMITS = Bounds(1 << 20, 4_000, "settings file")

# A quote that begins no whole string is the last token: the text is no TOML from there on, and the parser says so.
_TOKEN = re.compile(
    rf"(?P<string>{STRING})|(?P<open>[\"'])|#[^\n]*+|(?P<mark>[.=,\[\]{{}}\n])|[^\"'#.=,\[\]{{}}\n]++", re.S
)
_NO_TEXT = re.compile(r"\0|\r(?!\n)")
_ODD = {
    "\0": "a zero byte, so it is no text in UTF-8; save the file as plain text with UTF-8 encoding",
    "\r": "a line end of old Macs (CR alone); save the file with the line ends of Unix or Windows",
}


@dataclass(frozen=True)
class TooMuch:
    """Where a text goes beyond what settings need (its line, counted from 1), and what is wrong there."""

    line: int
    what: str


def too_much(text: str, limits: Bounds) -> TooMuch | None:
    """Tell what is too much about a text, None if it may be parsed. Takes time by its length."""
    if len(text) > limits.bytes:
        return TooMuch(1, f"longer than {limits.size}, so it is no {limits.noun}; replace it")
    odd = _NO_TEXT.search(text)
    if odd is not None:
        return TooMuch(text.count("\n", 0, odd.start()) + 1, _ODD[odd[0]])
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONGEST_LINE:
            return TooMuch(number, f"a line of {len(line)} characters; no setting needs more than {LONGEST_LINE}")
    return _Scan(limits).of(text)


class _Scan:
    """One pass over the tokens of a text."""

    def __init__(self, limits: Bounds) -> None:
        self._limits = limits
        self._line = 1
        self._keys = self._parts = self._open = 0
        self._begins = True  # nothing but space since the line began

    def of(self, text: str) -> TooMuch | None:
        for match in _TOKEN.finditer(text):
            token, kind = match[0], match.lastgroup
            if kind == "open":
                return None
            if kind == "mark":
                self._take(token)
            elif kind == "string":
                self._line += token.count("\n")
            self._begins = token == "\n" or (self._begins and token.isspace())
            problem = self._problem()
            if problem is not None:
                return TooMuch(self._line, problem)
        return None

    def _take(self, mark: str) -> None:
        # A key of many parts stands between two other marks: dots in a row, whatever space is between.
        self._parts = self._parts + 1 if mark == "." else 0
        if mark == "=" or (mark == "[" and self._begins and not self._open):
            self._keys += 1
        if mark in "[{":
            self._open += 1
        elif mark in "]}":
            self._open = max(0, self._open - 1)
        elif mark == "\n":
            self._line += 1

    def _problem(self) -> str | None:
        if self._parts >= MOST_PARTS:
            return f"a key of more than {MOST_PARTS} parts; no setting has such a key"
        if self._open > MOST_BRACKETS:
            return f"brackets nested too deeply; no setting needs more than {MOST_BRACKETS}"
        if self._keys > self._limits.keys:
            return f"more than {self._limits.keys} keys, so it is no {self._limits.noun}; replace it"
        return None
