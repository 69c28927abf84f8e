"""The library: one file by the same steps as in the worker, in the process of whoever calls.

from flashvsr import upscale

report = upscale("in.mov", "out.mp4", scale=2)
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from flashvsr.errors import BadInput, FlashVSRError
from flashvsr.files.advice import failure
from flashvsr.files.trees import NO_LINKS, OWN, Trees
from flashvsr.outbox.writable import check_writable
from flashvsr.settings.config import Config, load_config
from flashvsr.settings.preset import Preset, load_preset, with_values
from flashvsr.system.text import printable
from flashvsr.upscaling import entry
from flashvsr.upscaling.control import Control
from flashvsr.upscaling.report import Report
from flashvsr.upscaling.task import Task

if TYPE_CHECKING:
    from flashvsr.upscaling.engine import AnyEngine
    from flashvsr.upscaling.entry import Upscaling

log = logging.getLogger(__name__)

CONTAINERS = {".mp4": "mp4", ".mkv": "mkv"}
JOB_ID = 0  # no job of the queue has it

AnyPath = str | os.PathLike[str]
OnProgress = Callable[[int, int | None, float], None]
OnMessage = Callable[[str], None]


def upscale(
    source: AnyPath,
    target: AnyPath,
    *,
    preset: Preset | AnyPath | None = None,
    config: Config | AnyPath | None = None,
    on_progress: OnProgress | None = None,
    on_working: Callable[[], None] | None = None,
    on_message: OnMessage | None = None,
    **options: object,
) -> Report:
    """Super-resolve one video file. Use `Upscaler` for several: it loads the model once.

    >>> import sys
    >>> from flashvsr import upscale
    >>> def show(done, total, fps):
    ...     print(f"\\r{done} of {total} frames, {fps:.1f} frames/s", end="", file=sys.stderr)
    >>> report = upscale("in.mov", "out.mp4", width=128, scale=2, on_progress=show)
    >>> report.result.name, report.geometry.output, report.model
    ('out.mp4', (256, 128), 'nano')

    Args:
        source: the video.
        target: the result, an .mp4 or .mkv file that does not exist yet, or a directory for it. The container follows
            its name. Links on the way to either are followed.
        preset: a `Preset`, the path of a preset.toml, or None for the defaults.
        config: a `Config` or the path of a flashvsr.toml, for where weights lie, how files are read, limits; None for
            the defaults. Neither /etc/flashvsr nor the environment is looked at.
        on_progress: hears how many frames are done, of how many (None: nobody knows), and frames per second.
        on_working: called often in between, whenever something else got done.
        on_message: hears in words how the model is loaded; official weights may have to be fetched.
        options: keys of a preset that are to have another value, such as `scale=2` or `quality=8`.

    What one of the three functions raises ends the work and comes out. What was finished of a file that is not done
    to its end is kept beside the target as `<name>_partial`; the error says so, in its message or in a note.

    Returns:
        The facts; `result` is the file, `warnings` what a person should know about it.

    Raises:
        BadConfig: a preset, an option, the config or the weights are wrong, with all problems.
        BadInput: the source cannot be processed.
        Transient: a file system, the network or the GPU is in the way; NoSpace: a disk is full.
        FlashVSRError: the target cannot be had, and the base of all of these.
    """
    return Upscaler(config).upscale(
        source, target,
        preset=preset, on_progress=on_progress, on_working=on_working, on_message=on_message, **options,
    )  # fmt: skip


class Upscaler:
    """Does one file after the other with a model that is loaded once, at the first of them.

    Arguments and errors are those of `upscale`. Not for several threads at once.

    `trees`: of a caller who knows where other people write: in there no link is followed, whoever gave the path.
    """

    def __init__(self, config: Config | AnyPath | None = None, *, trees: Trees = NO_LINKS) -> None:
        self.config = _config(config)
        self._trees = trees
        self._loaded: tuple[Upscaling, AnyEngine] | None = None

    def load(self, on_message: OnMessage | None = None) -> None:
        """Load the model now, not with the first file. Raises BadConfig or Transient, and what `on_message` does."""
        self._load(_Hooks(on_message=on_message))

    def check(
        self, source: AnyPath, target: AnyPath, *, preset: Preset | AnyPath | None = None, **options: object
    ) -> None:
        """Raise what `upscale` would before it loads the model, also about the file. Changes nothing."""
        order = _order(self.config, self._trees, _path(source, "source"), _path(target, "target"), preset, options)
        control = _Hooks()
        with _explained(order.target, control), _task(order, self._trees) as task:
            _look(task, self.config, control)

    def upscale(
        self,
        source: AnyPath,
        target: AnyPath,
        *,
        preset: Preset | AnyPath | None = None,
        on_progress: OnProgress | None = None,
        on_working: Callable[[], None] | None = None,
        on_message: OnMessage | None = None,
        **options: object,
    ) -> Report:
        """Super-resolve one video file, see `upscale`."""
        order = _order(self.config, self._trees, _path(source, "source"), _path(target, "target"), preset, options)
        control = _Hooks(on_progress, on_working, on_message)
        with _explained(order.target, control), _task(order, self._trees) as task:
            if self._loaded is None:  # what needs no model to be refused is not to wait for one
                _look(task, self.config, control)
            upscaling, engine = self._load(control)
            try:
                return upscaling.upscale_file(task, engine, self.config, control)
            except BaseException as error:
                if isinstance(error, FlashVSRError) or error is control.raised:
                    _add(error, _kept(upscaling, task, self.config, error))
                raise

    def _load(self, hooks: _Hooks) -> tuple[Upscaling, AnyEngine]:
        if self._loaded is None:
            with _explained(self.config.paths.models, hooks):
                upscaling = entry.load()
                engine = upscaling.load_engine(self.config, hooks.message)
                hooks.message(f"model {engine.name} on {engine.label}")
            self._loaded = upscaling, engine
        return self._loaded


class _Hooks(Control):
    """Calls the caller's functions, and remembers what one of them raised."""

    def __init__(
        self,
        on_progress: OnProgress | None = None,
        on_working: Callable[[], None] | None = None,
        on_message: OnMessage | None = None,
    ) -> None:
        self.raised: BaseException | None = None
        self._on_progress, self._on_working, self._on_message = on_progress, on_working, on_message

    def progress(self, done: int, total: int | None, fps: float) -> None:
        if self._on_progress is not None:
            with self._watched():
                self._on_progress(done, total, fps)

    def working(self) -> None:
        if self._on_working is not None:
            with self._watched():
                self._on_working()

    def message(self, text: str) -> None:
        if self._on_message is not None:
            with self._watched():
                self._on_message(text)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.raised = error
            raise


@dataclass(frozen=True)
class _Order:
    """What was asked for, checked."""

    source: Path
    target: Path
    preset: Preset


def _order(
    config: Config,
    trees: Trees,
    source: Path,
    target: Path,
    preset: Preset | AnyPath | None,
    options: dict[str, object],
) -> _Order:
    wanted = with_values(_preset(trees, preset, config), options, "the options of upscale")
    with _explained(target, _Hooks()):  # such as a name that is too long
        if not source.is_file():
            raise BadInput(f"{printable(source)} is no file; give the path of a video")
        target, wanted = _target(target, source, wanted)
        folder = _absolute(trees, target.parent)
    check_writable(trees, folder, folder)
    return _Order(_absolute(trees, source), folder / target.name, wanted)


@contextmanager
def _task(order: _Order, trees: Trees) -> Iterator[Task]:
    with tempfile.TemporaryDirectory(prefix="flashvsr-") as workdir:
        yield Task(order.source, order.target, order.preset, _absolute(trees, Path(workdir)), JOB_ID, trees)


def _look(task: Task, config: Config, control: Control) -> None:
    from flashvsr.upscaling.first_look import first_look
    from flashvsr.upscaling.largest import largest_here
    from flashvsr.video.media import hold_source

    fixed = task.preset.fixed(largest_here(config.model.attention))
    with hold_source(task.trees, task.source):
        first_look(replace(task, preset=fixed), config, control)


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


def _absolute(trees: Trees, path: Path) -> Path:
    """The whole path. Where trees are not known no link is followed, so those of the caller's are now."""
    return path.resolve() if trees.roots is None else path.absolute()


def _config(config: Config | AnyPath | None) -> Config:
    if isinstance(config, Config):
        return config
    return Config() if config is None else load_config(_path(config, "config"), {})


def _preset(trees: Trees, preset: Preset | AnyPath | None, config: Config) -> Preset:
    if isinstance(preset, Preset):
        return preset
    if preset is None:
        return Preset(quality=config.export.quality)
    return load_preset(OWN if trees.roots is None else trees, _path(preset, "preset"), config.export.quality)


def _path(value: AnyPath, what: str) -> Path:
    if not os.fspath(value):  # `Path` would make the current directory of it
        raise FlashVSRError(f"the {what} is an empty text; give a path")
    return Path(value)


@contextmanager
def _explained(path: Path, hooks: _Hooks) -> Iterator[None]:
    """Turn what the system refuses into an error that says what to do, but not what the caller's functions raise."""
    try:
        yield
    except OSError as error:
        if error is hooks.raised:
            raise
        named = error.filename if isinstance(error.filename, str) else path
        raise failure("use", Path(named), error) from error


def _kept(upscaling: Upscaling, task: Task, config: Config, error: BaseException) -> str:
    """Keep what was finished, and say where; the error that ended the work stays the first thing that is told."""
    try:
        partial = upscaling.salvage(task, config, str(error), lambda: None)
    except (FlashVSRError, OSError) as second:
        log.debug("no partial video could be made: %s", second)
        return "what was finished is lost"
    return "" if partial is None else f"what was finished is in {printable(partial)}"


def _add(error: BaseException, text: str) -> None:
    """Say it in the message of an error of ours, in a note of another one."""
    if not text:
        return
    if isinstance(error, FlashVSRError):
        *others, last = error.lines or ("stopped",)
        error.args = FlashVSRError(*others, f"{last}; {text}").args
    else:
        error.add_note(text)
