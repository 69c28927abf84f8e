"""`flashvsr weights fetch` and `flashvsr weights verify`."""

from __future__ import annotations

import argparse

from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar

from flashvsr.commands.say import say
from flashvsr.commands.screen import Screen
from flashvsr.settings.config import Config
from flashvsr.system.devices import discover
from flashvsr.system.text import NAME, printable, visible
from flashvsr.weights import choice as weights
from flashvsr.weights.download import Progress


def fetch(config: Config, options: argparse.Namespace) -> int:
    """Fetch what is missing of the official weights, check what is there, and print the folder."""
    return fetch_command(config, vae=options.all)


def verify(config: Config, _options: argparse.Namespace) -> int:
    """Check the configured weights."""
    return verify_command(config)


def fetch_command(config: Config, *, vae: bool = False) -> int:
    """Fetch the official weights, with a bar on standard error; damaged files are fetched anew."""
    with _bar(Screen(stderr=True)) as bar:
        show = _Display(bar)
        folder = weights.fetch(config.paths.models, show, vae=vae, recheck=True)
        show.finish()
    say(printable(folder))
    return 0


def verify_command(config: Config) -> int:
    """Check every key and shape of the weights that this machine's workers use."""
    slots = discover(config.gpu.devices, config.gpu.max_concurrent)
    choice = weights.choose(config.model, config.paths.models, has_gpu=bool(slots[0].visible))
    for note in weights.verify(choice):
        say(note)
    say(f"{choice.name}: {printable(choice.folder)} is complete and fits")
    return 0


class _Display:
    """One bar for each file."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}
        self._connecting = bar.add_task("asking ModelScope, checking what is here", total=None)

    def __call__(self, progress: Progress) -> None:
        if not progress.file:
            if progress.total_bytes:
                self._bar.console.print(str(progress))  # also where there is no bar: it may be gigabytes
            return
        self._bar.update(self._connecting, visible=False)
        if progress.file not in self._tasks:
            self.finish()
            self._tasks[progress.file] = self._bar.add_task(visible(progress.file, NAME), total=progress.total_bytes)
        task = self._tasks[progress.file]
        self._bar.update(task, completed=progress.done_bytes, total=progress.total_bytes)

    def finish(self) -> None:
        """Fill the bars: the last word about a file may have come before its last byte."""
        for task in self._bar.tasks:
            if task.total is not None:
                self._bar.update(task.id, completed=task.total)


def _bar(console: Screen) -> Bar:
    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
