"""The last look at a result before it is published. Reads packets only, decodes nothing."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from flashvsr.errors import FlashVSRError
from flashvsr.files.trees import NO_LINKS
from flashvsr.video.counted import Opener, Progress, nothing
from flashvsr.video.media import open_made
from flashvsr.video.pyav import fraction


def verify(
    path: Path,
    frames: int,
    size: tuple[int, int],
    duration: float,
    audio_tracks: int | None = None,
    progress: Progress = nothing,
    opener: Opener = NO_LINKS.open_file,
) -> None:
    """Check a finished file: frames, picture size (width, height), duration in seconds, audio tracks.

    The duration may be off by one frame. `progress` is called for each frame looked at. `opener` opens the file, which
    may be held by its descriptor. Raises FlashVSRError naming everything that differs.
    """
    with open_made(path, opener) as container:
        if not container.streams.video:
            raise FlashVSRError(f"{path.name} has no video stream")
        stream = container.streams.video[0]
        found_size = (stream.width, stream.height)
        found_audio = len(container.streams.audio)
        tick = fraction(stream.time_base) or Fraction(1, 1000)
        count = 0
        first: int | None = None
        last = duration_of_last = 0
        for packet in container.demux(stream):
            progress()
            if not packet.size:
                continue
            count += 1
            if packet.pts is not None:
                first = packet.pts if first is None else min(first, packet.pts)
                last = max(last, packet.pts)
            # MP4 tells distances in decode order, which are no frame's duration but for the packet written last.
            duration_of_last = packet.duration or 0
    found_duration = float((last + duration_of_last - (first or 0)) * tick)
    problems = []
    if count != frames:
        problems.append(f"{count} frames instead of {frames}")
    if found_size != size:
        problems.append(f"{found_size[0]}x{found_size[1]} pixels instead of {size[0]}x{size[1]}")
    if abs(found_duration - duration) > duration / max(1, frames) + 0.002:
        problems.append(f"{found_duration:.3f} s instead of {duration:.3f} s")
    if audio_tracks is not None and found_audio != audio_tracks:
        problems.append(f"{found_audio} audio tracks instead of {audio_tracks}")
    if problems:
        raise FlashVSRError(f"the result {path.name} is not what was made: {', '.join(problems)}")
