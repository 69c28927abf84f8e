"""Reports of work that only a test pretends was done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset
from flashvsr.upscaling.forecast import Forecast
from flashvsr.upscaling.report import Report
from flashvsr.video.geometry import Geometry

SIZE = 256, 128


FORECAST = Forecast((128, 64), "h264", 25.0, 0.4, 10, SIZE, SIZE, 1000, 1, 0, ())


def foreseen(_source: Path, _preset: Preset, _config: Config, _force: bool) -> Forecast:
    """What `forecast` would return for any file."""
    return FORECAST


def report_of(result: Path, model: str, frames: int, warnings: Sequence[str] = ()) -> Report:
    """What `upscale_file` would return for a video of so many frames."""
    return Report(
        result=result,
        source={},
        preset=Preset(),
        geometry=Geometry((128, 64), SIZE, SIZE, SIZE, (0, 0)),
        model=model,
        device="none",
        encoder="none",
        frames=frames,
        audio_tracks=0,
        duration=frames / 25,
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T00:00:01+00:00",
        seconds=1.0,
        fps=float(frames),
        resumed_at=0,
        warnings=[*warnings],
    )
