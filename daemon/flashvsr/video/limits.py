"""How large a source may be: a file says anything about itself, and some say it to do harm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flashvsr.errors import BadInput, Fault
from flashvsr.video.media import source_status

if TYPE_CHECKING:
    from av.video.stream import VideoStream

_ALIGNED = 128  # FFmpeg counts the pixels of whole blocks and aligned rows; no codec or processor has larger ones


@dataclass(frozen=True)
class Limits:
    """`file_bytes`: of the source, 0 for any. `frames`: of the video, 0 for any. `side`: pixels, of either side.

    `memory`: bytes that opening it may take, 0 for any; `flashvsr.upscaling.prober` sees to it.
    """

    file_bytes: int = 0
    frames: int = 0
    side: int = 16384
    memory: int = 0


GENEROUS = Limits()


def guard(stream: VideoStream, path: Path, limits: Limits) -> None:
    """Refuse pictures that are too large, now and when the stream changes its size later.

    The decoder holds back all that are far too large, before it takes memory for them; each frame that it does give has
    to pass `check_side`.
    """
    check_side(stream.width, stream.height, path, limits)
    stream.codec_context.options = {"max_pixels": str((-(-limits.side // _ALIGNED) * _ALIGNED) ** 2)}


def check_side(width: int, height: int, path: Path, limits: Limits) -> None:
    """Refuse a picture of so many pixels that has a side too long."""
    if max(width, height) > limits.side:
        raise BadInput(
            f"{path} has pictures of {width}x{height}, more than the {limits.side} pixels a side that "
            "limits.side allows; scale it down first, or raise limits.side in the settings",
            fault=Fault.TOO_WIDE,
        )


def check_frames(count: int, path: Path, limits: Limits) -> None:
    """Refuse a video that is too long."""
    if limits.frames and count > limits.frames:
        raise BadInput(
            f"{path} has {count} frames, more than the {limits.frames} that limits.frames allows; cut it into parts, "
            "or raise limits.frames in the settings",
            fault=Fault.TOO_LONG,
        )


def check_file(path: Path, limits: Limits) -> None:
    """Refuse a file that is too large, before anything of it is read. Raises as `open_source` does."""
    size = source_status(path).st_size
    if limits.file_bytes and size > limits.file_bytes:
        raise BadInput(
            f"{path} has {size} bytes, more than the {limits.file_bytes} that limits.file_bytes allows; cut it into "
            "parts, or raise limits.file_bytes in the settings",
            fault=Fault.TOO_MANY_BYTES,
        )
