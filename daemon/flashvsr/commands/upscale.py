"""`flashvsr upscale IN OUT`: one file through the worker's own code, without the service."""

from __future__ import annotations

import argparse
import logging
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from flashvsr.commands.progress import JobProgress, job_progress
from flashvsr.commands.say import complain, say
from flashvsr.commands.screen import Screen
from flashvsr.errors import BadInput, Cancelled, FlashVSRError
from flashvsr.files.advice import failure
from flashvsr.outbox.writable import check_writable
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset, load_preset, override
from flashvsr.system.text import printable

if TYPE_CHECKING:
    from flashvsr.upscaling.file import Report, Task

log = logging.getLogger(__name__)

CONTAINERS = {".mp4": "mp4", ".mkv": "mkv"}
JOB_ID = 0  # no job of the queue has it


def run(config: Config, options: argparse.Namespace) -> int:
    """Super-resolve one file; prints the path of the result."""
    preset = _preset(config, options)
    source = options.source
    if not source.is_file():
        raise BadInput(f"{printable(source)} is no file; give the path of a video")
    try:
        target, preset = _target(options.target, source, preset)
    except OSError as error:  # such as a name that is too long
        raise failure("use", options.target, error) from error
    check_writable(target.absolute().parent, target.absolute().parent)
    try:
        report = _upscaled(config, source, target, preset)
    except BrokenPipeError:
        raise  # nobody reads what is shown
    except OSError as error:
        named = error.filename if isinstance(error.filename, str) else target
        raise failure("use", Path(named), error) from error
    for warning in report.warnings:
        complain(warning)
    say(printable(report.result))
    Screen(stderr=True).print(f"{report.frames} frames, {report.fps:.1f} frames/s")
    return 0


def _upscaled(config: Config, source: Path, target: Path, preset: Preset) -> Report:
    from flashvsr.upscaling import file as upscale

    console = Screen(stderr=True)
    with job_progress(console) as progress, tempfile.TemporaryDirectory(prefix="flashvsr-") as workdir:
        engine = upscale.load_engine(config, progress.say)
        progress.say(f"model {engine.name} on {engine.label}")
        task = upscale.Task(source.absolute(), target.absolute(), preset, Path(workdir), JOB_ID)
        with _interruptible(printable(source.name), progress) as control:
            try:
                return upscale.upscale_file(task, engine, config, control)
            except FlashVSRError as error:
                *others, last = error.lines
                raise type(error)(*others, f"{last}{_kept(task, config, error)}") from error


def _kept(task: Task, config: Config, error: FlashVSRError) -> str:
    """Keep what was finished, and say where; the error that ended the work stays the first thing that is told."""
    from flashvsr.upscaling import file as upscale

    try:
        partial = upscale.salvage(task, config, str(error))
    except (FlashVSRError, OSError) as second:
        log.debug("no partial video could be made: %s", second)
        return "; what was finished is lost"
    return "" if partial is None else f"; what was finished is in {printable(partial)}"


def _preset(config: Config, options: argparse.Namespace) -> Preset:
    quality = config.export.quality
    if options.preset is None:
        preset = Preset(quality=quality)
    else:
        preset = load_preset(options.preset, quality, follow_symlinks=True)
    return override(preset, options.assignments)


def _target(target: Path, source: Path, preset: Preset) -> tuple[Path, Preset]:
    """The file to write, and the preset with the container that its name asks for."""
    if target.is_dir():
        target = target / f"{source.stem}.{preset.container}"
    container = CONTAINERS.get(target.suffix.lower())
    if container is None:
        raise FlashVSRError(f"{printable(target)}: the result is an .mp4 or .mkv file, or give an existing directory")
    if target.exists():
        raise FlashVSRError(f"{printable(target)} exists and is not overwritten; choose another name or remove it")
    if not target.absolute().parent.is_dir():
        raise FlashVSRError(f"{printable(target.parent)} is no directory; create it first")
    return target, replace(preset, container=container)


class _Control:
    """Shows progress; ends the work after SIGINT or SIGTERM."""

    def __init__(self, name: str, progress: JobProgress) -> None:
        self.stopped = threading.Event()
        self._name = name
        self._progress = progress

    def progress(self, done: int, total: int | None, fps: float) -> None:
        if self.stopped.is_set():
            raise Cancelled("stopped")
        self._progress.update(self._name, done, total, fps)

    def check_outbox(self) -> None:
        """Nothing to compare with: the target's directory was given and is there."""

    def check_room(self, needs: object) -> None:
        """Whoever asks for one file sees for themselves when the disk is full."""

    def working(self) -> None:
        """Something else than frames got done, which the display does not show."""
        if self.stopped.is_set():
            raise Cancelled("stopped")

    def present(self, task: Any) -> Any:
        """The target was given, whatever becomes of the source's name."""
        return task

    def publishing(self, report: object, size: int, mtime_ns: int) -> None:
        """Nothing to record: there is no queue."""


@contextmanager
def _interruptible(name: str, progress: JobProgress) -> Iterator[_Control]:
    """A control that the first Ctrl-C ends in good order; the second one ends the process at once."""
    control = _Control(name, progress)

    def stop(number: int, _frame: FrameType | None) -> None:
        control.stopped.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield control
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
