"""What becomes of the tracks beside the picture, as far as can be told before the work: by the code that makes them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO

import av

from flashvsr.video.counted import Progress, nothing
from flashvsr.video.extras import left_out
from flashvsr.video.media import open_source
from flashvsr.video.probe import SourceInfo
from flashvsr.video.renumber import renumbered
from flashvsr.video.tracks import FORMATS, Lessons, Tracks, Wishes


@dataclass(frozen=True)
class Beside:
    """`audio`, `subtitles`: how many tracks the result gets. `remarks`: what differs from the source, in words."""

    audio: int
    subtitles: int
    remarks: tuple[str, ...]


def beside(info: SourceInfo, audio: str, container: str, progress: Progress = nothing) -> Beside:
    """What `assemble` would do to them; what it learns of a track only on its way through the file is not in it.

    Raises BadInput or Transient where the source cannot be opened.
    """
    end = Fraction(info.length or 0).limit_denominator(1000)
    wishes = Wishes(audio, True, container, end, info.until, Lessons())
    view = renumbered(info.renumberings)
    with (
        open_source(info.path, progress, view=view, known=info.identity) as source,
        av.open(BytesIO(), "w", format=FORMATS[container]) as out,
    ):
        tracks = Tracks(source, out, info, wishes, progress)
        sounds = len(source.streams.audio) if audio == "none" else 0
        silent = [f'{sounds} audio tracks left out: the preset asks for audio = "none"'] if sounds else []
        return Beside(tracks.audio, tracks.subtitles, (*silent, *tracks.warnings, *left_out(source, info)))
