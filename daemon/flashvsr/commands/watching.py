"""Shows something that changes, again and again, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from rich.live import Live

from flashvsr.commands.screen import Screen

REPAINT_SECONDS = 2.0
_RESIZE_SECONDS = 0.2  # until another size of the terminal is noticed


def each_moment() -> Iterator[None]:
    """Yield now, and again every two seconds."""
    while True:
        yield
        time.sleep(REPAINT_SECONDS)


def show_on_screen(screen: Screen, lines: Callable[[int], Sequence[str]]) -> None:
    """Fill the terminal with lines, made for its columns of that moment; what was there comes back at the end.

    Ends by KeyboardInterrupt, or by what `lines` raises.
    """
    with Live(console=screen, screen=True, auto_refresh=False) as live:
        while True:
            size = screen.size
            live.update(_fitting(lines(size.width), size.height), refresh=True)
            until = time.monotonic() + REPAINT_SECONDS
            while time.monotonic() < until and screen.size == size:
                time.sleep(_RESIZE_SECONDS)


def _fitting(lines: Sequence[str], height: int) -> str:
    """Where the terminal is too low, the last line says so; the end of the queue stays."""
    if len(lines) > height > 2:
        more = len(lines) - height + 1
        lines = [*lines[: height - 2], f"… {more} more lines …", lines[-1]]
    return "\n".join(lines)
