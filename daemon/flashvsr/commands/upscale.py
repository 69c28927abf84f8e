"""`flashvsr upscale IN OUT`: one file through the library, without the service."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from flashvsr.commands.progress import job_progress
from flashvsr.commands.say import complain, say
from flashvsr.commands.screen import Screen
from flashvsr.errors import Cancelled
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset, load_preset, override
from flashvsr.system.text import printable

if TYPE_CHECKING:
    from flashvsr.upscaling.report import Report


def run(config: Config, options: argparse.Namespace) -> int:
    """Super-resolve one file; prints the path of the result."""
    console = Screen(stderr=True)
    report = _upscaled(config, options, _preset(config, options), console)
    for warning in report.warnings:
        complain(warning)
    say(printable(report.result))
    console.print(f"{report.frames} frames, {report.fps:.1f} frames/s")
    return 0


def _upscaled(config: Config, options: argparse.Namespace, preset: Preset, console: Screen) -> Report:
    from flashvsr.upscaling.library import Upscaler

    source, target = options.source, options.target
    name = printable(source.name)
    upscaler = Upscaler(config, trees=config.trees())
    upscaler.check(source, target, preset=preset)
    with job_progress(console) as progress:
        upscaler.load(progress.say)  # which a Ctrl-C ends at once
        with _interruptible() as check:

            def show(done: int, total: int | None, fps: float) -> None:
                check()
                progress.update(name, done, total, fps)

            return upscaler.upscale(source, target, preset=preset, on_progress=show, on_working=check)


def _preset(config: Config, options: argparse.Namespace) -> Preset:
    quality = config.export.quality
    file = options.preset
    preset = Preset(quality=quality) if file is None else load_preset(config.trees(), file, quality)
    return override(preset, options.assignments)


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """Yield a check that raises Cancelled after the first Ctrl-C, or SIGTERM; a second one ends the process at once."""
    stopped = threading.Event()

    def stop(number: int, _frame: FrameType | None) -> None:
        stopped.set()
        signal.signal(number, signal.SIG_DFL)

    def check() -> None:
        if stopped.is_set():
            raise Cancelled("stopped")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
