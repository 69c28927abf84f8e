"""What came of one file: kept in the history, shown by `flashvsr status ID`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flashvsr.files.report_text import bounded_json, report_toml
from flashvsr.settings.preset import Preset
from flashvsr.system.text import printable
from flashvsr.system.version import VERSION

if TYPE_CHECKING:  # whoever only reads reports needs neither torch nor decoders
    from flashvsr.video.geometry import Geometry


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
        fields = asdict(self) | {"result": printable(self.result), "version": VERSION}
        return bounded_json(json.dumps(fields, default=str))

    def to_toml(self) -> str:
        """The report for people."""
        return report_toml(json.loads(self.to_json()))
