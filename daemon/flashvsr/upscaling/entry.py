"""The way into this room for those who must stay without torch until there is work: the worker's loop, the library."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flashvsr.settings.config import Config
    from flashvsr.settings.preset import Preset
    from flashvsr.upscaling.control import Control
    from flashvsr.upscaling.engine import AnyEngine
    from flashvsr.upscaling.forecast import Forecast
    from flashvsr.upscaling.report import Report
    from flashvsr.upscaling.task import Task


@dataclass(frozen=True)
class Upscaling:
    """What others call here; a test may hand out functions of its own.

    Attributes:
        load_engine: see `flashvsr.upscaling.engine.load_engine`.
        upscale_file: see `flashvsr.upscaling.file.upscale_file`.
        salvage: see `flashvsr.upscaling.salvage.salvage`.
        forecast: see `flashvsr.upscaling.forecaster.forecast`; the limit of the preset need not be fixed.
    """

    load_engine: Callable[[Config, Callable[[str], None]], AnyEngine]
    upscale_file: Callable[[Task, AnyEngine, Config, Control], Report]
    salvage: Callable[[Task, Config, str, Callable[[], None]], Path | None]
    forecast: Callable[[Path, Preset, Config, bool], Forecast]


def load() -> Upscaling:
    """The real functions. Loads torch and the decoders, which takes seconds the first time."""
    with _nothing_collected():
        from flashvsr.upscaling.engine import load_engine
        from flashvsr.upscaling.file import upscale_file
        from flashvsr.upscaling.forecaster import Forecaster
        from flashvsr.upscaling.salvage import salvage

    return Upscaling(load_engine, upscale_file, salvage, Forecaster())


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """What is loaded stays: to look for garbage in it again and again would take a tenth of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def load_for_ended_jobs() -> Upscaling:
    """For a worker that rests: it only saves what was finished of jobs that have ended, and stays without torch."""
    from flashvsr.upscaling.salvage import salvage

    return Upscaling(
        lambda config, on_message: load().load_engine(config, on_message),
        lambda task, engine, config, control: load().upscale_file(task, engine, config, control),
        salvage,
        lambda source, preset, config, measure: load().forecast(source, preset, config, measure),
    )
