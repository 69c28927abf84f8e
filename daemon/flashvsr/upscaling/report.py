"""What came of one file: kept in the history, shown by `flashvsr status ID`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flashvsr import __version__
from flashvsr.files.report_text import bounded_json, report_toml
from flashvsr.settings.preset import Preset
from flashvsr.system.text import printable
from flashvsr.video.geometry import Geometry
from flashvsr.video.interlacing import Scan
from flashvsr.video.probe import SourceInfo


@dataclass(frozen=True)
class Report:
    """Facts about a finished job.

    `duration`: seconds of video. `started`, `finished`, `seconds`, `fps` are of the last attempt, `resumed_at` its
    first new frame.
    """

    result: Path
    source: dict[str, Any]
    preset: Preset
    geometry: Geometry
    model: str
    device: str
    encoder: str
    frames: int
    audio_tracks: int
    duration: float
    started: str
    finished: str
    seconds: float
    fps: float
    resumed_at: int
    warnings: list[str]

    def to_json(self) -> str:
        """The report as a JSON object."""
        fields = asdict(self) | {"result": printable(self.result), "version": __version__}
        return bounded_json(json.dumps(fields, default=str))

    def to_toml(self) -> str:
        """The report for people."""
        return report_toml(json.loads(self.to_json()))


def source_facts(info: SourceInfo, scan: Scan) -> dict[str, Any]:
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
