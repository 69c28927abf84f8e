"""Tables and bars of commands, by rich: what a text holds is shown, never obeyed."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from flashvsr.commands.say import writing
from flashvsr.system.text import PRINTED, PRINTED_LINE, visible_lines

UNLIMITED = 100_000  # columns of a pipe or a file: nothing is cut or folded there


class Screen(Console):
    """A console that takes no markup from texts and lets only visible lines through.

    What has been made a rich `Text` is not looked at again: make it of a visible one.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        terminal = (sys.stderr if stderr else sys.stdout).isatty()
        super().__init__(
            stderr=stderr, highlight=False, markup=False, emoji=False, width=None if terminal else UNLIMITED
        )

    @property
    def columns(self) -> int | None:
        """Columns that lines should fit; None for a pipe or a file, where nothing is cut or folded."""
        return None if self.width == UNLIMITED else self.width

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; raises FlashVSRError where the output is full."""
        with writing(sys.stderr if self.stderr else sys.stdout):
            super().print(*objects, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Make a plain string, of a cell or a message, something to render."""
        shown = "\n".join(visible_lines(text.split("\n"), PRINTED, PRINTED_LINE))
        return super().render_str(shown, **options | {"emoji": False, "markup": False, "highlight": False})
