"""How names from a share are shown: file names may hold any byte, log lines and messages may not."""

from __future__ import annotations

import os


def printable(path: str | os.PathLike[str]) -> str:
    r"""Return `path` as one line of visible text.

    Control characters, line separators and bidirectional marks become `\n`-like escapes, bytes that are no
    UTF-8 become `\xNN`, a backslash is doubled: no name can forge a log line, and no two names look the same
    for it.
    """
    return one_line(os.fspath(path).replace("\\", "\\\\"))


def one_line(text: str) -> str:
    """Return a message as one line of visible text; names in it may have gone through `printable` before."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: a byte that was no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
