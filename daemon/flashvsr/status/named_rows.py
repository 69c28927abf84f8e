"""Facts as people read them on a terminal: what each is called, and behind that its text, wrapped."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

Row = tuple[str, str]
LEAST_WIDTH = 20  # columns of a text, however narrow the terminal


def row_lines(rows: Iterable[Row], width: int | None = None, indent: str = "") -> list[str]:
    """Return the lines of rows, each a name and a text; the texts stand below each other, empty ones are left out.

    `width`: columns of the terminal, to which long texts are wrapped; None: they are not.
    """
    given = [(name, line.strip()) for name, text in rows for line in text.split("\n") if line.strip()]
    names = max((len(name) for name, _ in given), default=0)
    room = None if width is None else max(LEAST_WIDTH, width - len(indent) - names - 2)
    lines, last = [], ""
    for name, text in given:
        for line in _wrapped(text, room):
            lines.append(f"{indent}{'' if name == last else name:<{names}}  {line}")
            last = name
    return lines


def _wrapped(text: str, width: int | None) -> list[str]:
    if width is None or len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
