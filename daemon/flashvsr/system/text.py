r"""Texts on their way to people and into storage: names from a share may hold any byte, what people read may not.

A visible text has no control characters, no marks that turn the direction of writing, and no bytes that are no UTF-8:
each of them is an escape such as `\n`, `\x1b`, `\xe9` or `\u202e`. It is one line, so it cannot pass for two.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

NAME = 200  # characters of one name, title or language inside a message
LINE = 4_000  # of one line of a message: a path and what to do about it
MESSAGE = 20_000  # of all lines of a message
MOST_LINES = 120
STORED = 2_000  # of a message that is kept with a job: there may be many thousands of them
PRINTED_LINE, PRINTED = 20_000, 200_000  # of what a command prints: the longest path fits, each byte an escape
WARNING, MOST_WARNINGS = 1_000, 50  # characters of one, and how many of them are kept of a job

_LONGEST_ESCAPE = 10  # \U0001f600
_ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt\\])")
_PIECE = re.compile(rf"{_ESCAPE.pattern}|.", re.DOTALL)
_REST_LENGTH = 40  # characters that "and N more lines" may take
_MORE_WARNINGS = re.compile(r"and ([0-9]{1,9}) more warnings")
_FAR = 1_000  # characters to look back for the beginning of an escape


def printable(path: str | os.PathLike[str]) -> str:
    r"""Return a path as one visible line that tells it from all others; `from_printable` is the way back.

    A byte that is no UTF-8 becomes `\xNN` (128 and above), any other invisible character its escape, a backslash is
    doubled.
    """
    return one_line(os.fspath(path).replace("\\", "\\\\"))


def from_printable(text: str) -> str:
    """Return the path that `printable` wrote, as `str` with surrogateescape. Raises ValueError if it wrote no such."""
    parts = []
    for match in _PIECE.finditer(text):
        piece = match[0]
        if piece == "\\":
            raise ValueError("a backslash that begins no escape; a backslash itself is written twice")
        parts.append(piece if len(piece) == 1 else _unescaped(piece))
    return "".join(parts)


def one_line(text: str) -> str:
    """Return a message as one visible line; names in it may have gone through `printable` before."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def sentence_of(text: str) -> str:
    """Return a message of several lines as one sentence, whose parts are told apart: "3 problems: a; b; c".

    Runs of blanks become one. It may still hold invisible characters.
    """
    parts = [" ".join(line.split()) for line in text.split("\n")]
    sentence = ""
    for part in filter(None, parts):
        between = " " if sentence.endswith((":", ";", ",")) else "; "
        sentence = f"{sentence}{between}{part}" if sentence else part
    return sentence


def visible(text: str, most: int = LINE) -> str:
    """Return a text as one visible line of at most `most` characters."""
    return bounded(one_line(bounded(text, 2 * most)), most, len(text))


def bounded(text: str, most: int, length: int | None = None) -> str:
    """Return a text cut to `most` characters (at least 40): its middle gives way to a mark that tells how long it was.

    No escape is cut apart. `length`: what the mark tells, if `text` is not the text as it came.
    """
    if len(text) <= most:
        return text
    mark = f"… ({len(text) if length is None else length} characters) …"
    room = most - len(mark)
    head, tail = room * 3 // 4, room - room * 3 // 4
    return text[: _cut(text, head)[0]] + mark + text[_cut(text, len(text) - tail)[1] :]


def pieces(text: str) -> list[str]:
    """Return the characters of a visible text, each escape whole."""
    return [match[0] for match in _PIECE.finditer(text)]


def visible_lines(lines: Iterable[str], most: int = MESSAGE, longest: int = LINE) -> tuple[str, ...]:
    """Return lines of a message, visible and of at most `most` characters together; the last one counts those left out.

    `longest`: characters of one line.
    """
    given = list(lines)
    kept: list[str] = []
    length = 0
    for left, line in zip(range(len(given), 0, -1), given, strict=True):
        room = most if left == 1 else most - _REST_LENGTH
        shown = visible(line, min(longest, room))
        length += len(shown)
        if kept and (length > room or (len(kept) == MOST_LINES - 1 and left > 1)):
            return (*kept, f"and {left} more lines")
        kept.append(shown)
    return tuple(kept)


def storable(text: str, most: int = STORED) -> str:
    """Return a message, of several lines perhaps, as it can be stored anywhere and shown line by line."""
    if len(text) <= most and text.isprintable():
        return text
    return "\n".join(visible_lines(text.split("\n"), most))


def bounded_warnings(warnings: Sequence[str]) -> list[str]:
    """Return warnings about one result, each visible and of bounded length; the last one counts those left out.

    Such lists may be joined and bounded again: what was counted before is counted on.
    """
    own = [warning for warning in warnings if not _MORE_WARNINGS.fullmatch(warning)]
    before = sum(int(match[1]) for warning in warnings if (match := _MORE_WARNINGS.fullmatch(warning)))
    kept = own if not before and len(own) <= MOST_WARNINGS else own[: MOST_WARNINGS - 1]
    left = before + len(own) - len(kept)
    return [*(visible(warning, WARNING) for warning in kept), *([f"and {left} more warnings"] if left else [])]


def _cut(text: str, index: int) -> tuple[int, int]:
    """The nearest places at or before `index`, and at or after it, that are in no escape."""
    start, last = index, max(0, index - _FAR)
    while start > last and not _begins(text, start):
        start -= 1
    for match in _PIECE.finditer(text, start):
        if match.start() >= index:
            break
        if match.end() > index:
            return match.span()
    return index, index


def _begins(text: str, index: int) -> bool:
    """Whether a character or an escape surely begins here."""
    before = text[max(0, index - _LONGEST_ESCAPE) : index]
    return "\\" not in before or (text[index : index + 1] == "\\" and before[-1] != "\\")


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: a byte that was no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if 0x80 <= code <= 0xFF:  # a character, which must not look like that byte
        return f"\\u{code:04x}"
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def _unescaped(escape: str) -> str:
    plain = {"\\n": "\n", "\\r": "\r", "\\t": "\t", "\\\\": "\\"}.get(escape)
    if plain is not None:
        return plain
    code = int(escape[2:], 16)
    return chr(code + 0xDC00 if escape[1] == "x" and code >= 0x80 else code)
