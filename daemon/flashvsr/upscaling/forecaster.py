"""Finds out what will be made of a file, without a model: for `flashvsr plan` and for those who wait."""

from __future__ import annotations

import math
from pathlib import Path

from flashvsr.errors import BadInput, Skipped
from flashvsr.files.space import expected_bytes
from flashvsr.files.trees import Trees
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset
from flashvsr.upscaling.budgets import limits_of
from flashvsr.upscaling.forecast import Forecast
from flashvsr.upscaling.largest import largest_here
from flashvsr.upscaling.prober import Prober
from flashvsr.video.counted import Progress, nothing
from flashvsr.video.geometry import Size, notes, plan


def forecast(
    trees: Trees,
    source: Path,
    preset: Preset,
    config: Config,
    prober: Prober,
    force: bool = False,
    progress: Progress = nothing,
) -> Forecast:
    """Look at a source; the limit of `preset` is fixed. `trees`: the way to the file.

    Raises:
        BadInput: it is no video that can be read.
        Transient, Crashed: it cannot be looked at now.
    """
    info = prober.probe(trees, source, limits_of(config), progress, preset.seconds)
    beside = prober.beside(trees, info, preset.audio, preset.container, progress)
    frames = info.frame_count
    skipped = refused = ""
    geometry = None
    try:
        geometry = plan(info.width, info.height, preset, force=force)
    except Skipped as reason:
        skipped = str(reason)
    except BadInput as reason:
        refused = str(reason)
    remarks = notes(info.width, info.height, preset, geometry) if geometry else []
    if info.is_cut:
        remarks.append(f"only its first {preset.seconds:g} s will be made, as seconds in the preset asks for")
    return Forecast(
        source=(info.width, info.height),
        codec=info.codec,
        rate=float(info.frame_rate),
        seconds=info.duration if info.duration is None or math.isfinite(info.duration) else None,
        frames=frames,
        result=geometry.output if geometry else None,
        model=geometry.model if geometry else None,
        size=expected_bytes(*geometry.output, frames, preset.quality) if geometry and frames else None,
        audio=beside.audio,
        subtitles=beside.subtitles,
        remarks=(*remarks, *info.warnings, *beside.remarks),
        skipped=skipped,
        refused=refused,
    )


class Forecaster:
    """Looks at one file after the other, as this process's device would do them.

    `largest`: what `limit = "auto"` is; None: what the first GPU that this process sees has memory for.
    """

    def __init__(self, largest: Size | None = None) -> None:
        self._prober: Prober | None = None
        self._largest = largest

    def __call__(self, source: Path, preset: Preset, config: Config, force: bool = False) -> Forecast:
        """Raises as `forecast` does."""
        if self._largest is None:
            self._largest = largest_here(config.model.attention)
        if self._prober is None or self._prober.memory != config.limits.memory:
            self.close()
            self._prober = Prober(config.limits.memory)
        return forecast(config.trees(), source, preset.fixed(self._largest), config, self._prober, force)

    def close(self) -> None:
        """End the process that looks into files; the next file starts another one."""
        if self._prober is not None:
            self._prober.close()
