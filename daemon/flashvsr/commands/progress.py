"""Progress of one job on the terminal: a bar for people, a few plain lines where the output goes elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from flashvsr.commands.screen import Screen
from flashvsr.system.text import LINE, NAME, visible

PLAIN_STEPS = 4  # plain lines per job


class JobProgress:
    """Shows what one job is doing; `update` may be called as often as one likes."""

    def __init__(self, console: Screen, bar: Progress, task: TaskID) -> None:
        self._console, self._bar, self._task = console, bar, task
        self._said: tuple[str, int] | None = None

    def update(self, what: str, done: int = 0, total: int | None = None, fps: float = 0.0) -> None:
        """`what` is being done; `done` of `total` frames are, at `fps` frames per second."""
        what = visible(what, NAME if self._console.is_terminal else LINE)
        rate = f"{fps:.1f} frames/s" if fps else ""
        if self._console.is_terminal:
            self._bar.update(self._task, description=what, completed=done, total=total, rate=rate)
            return
        step = done * PLAIN_STEPS // total if total else 0
        if (what, step) != self._said:
            self._said = (what, step)
            self.say(f"{what}: {done}/{total or '?'} frames {rate}".rstrip() if done else what)

    def say(self, message: str) -> None:
        """One line above the bar."""
        self._bar.console.print(visible(message), soft_wrap=True)


@contextmanager
def job_progress(console: Screen) -> Iterator[JobProgress]:
    """Show progress on `console` for as long as the block runs."""
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        yield JobProgress(console, bar, bar.add_task("", total=None, rate=""))
