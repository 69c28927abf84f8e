"""One attempt at a file, from its beginning to the report on it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from flashvsr.system.text import bounded_warnings, printable
from flashvsr.upscaling.engine import AnyEngine
from flashvsr.upscaling.plan import Plan
from flashvsr.upscaling.report import Report
from flashvsr.video.interlacing import Scan
from flashvsr.video.mux import Assembled
from flashvsr.video.probe import SourceInfo


class Attempt:
    """One attempt at a file, from now on."""

    def __init__(self) -> None:
        self._began, self._clock = datetime.now().astimezone(), time.monotonic()

    def report(
        self, plan: Plan, engine: AnyEngine, joined: Assembled, warnings: Sequence[str], source: Path, result: Path
    ) -> Report:
        """What came of it by now. `source`, `result`: where the two files are."""
        seconds = time.monotonic() - self._clock
        return Report(
            result=result,
            source=_source_facts(replace(plan.source, path=source), plan.scan),
            preset=plan.task.preset,
            geometry=plan.geometry,
            model=engine.name,
            device=engine.label,
            encoder=plan.encoder.name,
            frames=joined.frames,
            audio_tracks=joined.audio_tracks,
            duration=joined.duration,
            started=self._began.isoformat(timespec="seconds"),
            finished=datetime.now().astimezone().isoformat(timespec="seconds"),
            seconds=seconds,
            fps=(joined.frames - plan.resumed_at) / seconds,
            resumed_at=plan.resumed_at,
            warnings=bounded_warnings([*warnings]),
        )


def _source_facts(info: SourceInfo, scan: Scan) -> dict[str, Any]:
    """The part of a source's facts that a person may want to read again."""
    return {
        "path": printable(info.path),
        "container": info.container,
        "codec": info.codec,
        "pixel_format": info.pixel_format,
        "bits": info.bits,
        "scan": scan.order,
        "rotation": info.rotation,
        "mirrored": info.mirrored,
        "sample_aspect": str(info.sample_aspect),
        "width": info.width,
        "height": info.height,
        "frame_rate": str(info.frame_rate),
        "duration": info.duration,
        "color": asdict(info.color),
        "audio": [asdict(track) for track in info.audio],
    }
