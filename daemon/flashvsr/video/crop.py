"""Edges of the picture that the container tells players to hide: `clap` in MP4 and QuickTime, PixelCrop in Matroska."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from av.error import FFmpegError

from flashvsr.video.ebml import TO_VIDEO, header_of, number

if TYPE_CHECKING:
    from av.video.format import VideoFormat
    from av.video.stream import VideoStream

_LEFT, _RIGHT, _TOP, _BOTTOM = b"\x54\xcc", b"\x54\xdd", b"\x54\xbb", b"\x54\xaa"


@dataclass(frozen=True)
class Crop:
    """Pixels to take off each edge of the stored picture, before it is turned."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0

    def __bool__(self) -> bool:
        return any(astuple(self))

    def size(self, width: int, height: int) -> tuple[int, int]:
        """What is left of a picture."""
        return width - self.left - self.right, height - self.top - self.bottom

    def fits(self, width: int, height: int) -> bool:
        """Whether anything is left."""
        return min(self.size(width, height)) > 0

    def filters(self, width: int, height: int, pixels: VideoFormat) -> list[tuple[str, str]]:
        """FFmpeg's filters for pictures of a size. Colour shared by pixels on both sides of an edge is split."""
        if not self or not self.fits(width, height):
            return []
        kept = self.size(width, height)
        cut = ("crop", f"{kept[0]}:{kept[1]}:{self.left}:{self.top}:exact=1")
        across, down = (8 // side for side in (pixels.chroma_width(8), pixels.chroma_height(8)))
        if self.left % across == 0 and self.top % down == 0:
            return [cut]
        bits = pixels.components[0].bits
        return [("scale", "flags=bicubic+accurate_rnd+full_chroma_int"),
                ("format", f"yuv444p{'' if bits == 8 else f'{bits}le'}"), cut]  # fmt: skip


NOTHING = Crop()


def crop_of(stream: VideoStream) -> Crop:
    """What the container says; nothing where it says nothing, or what leaves nothing."""
    try:
        header = header_of(stream, opaque=True)
    except (ValueError, FFmpegError):
        return NOTHING  # no codec of Matroska's, and no format that tells of a crop
    found = Crop(*(number(header, (*TO_VIDEO, edge)) for edge in (_LEFT, _RIGHT, _TOP, _BOTTOM)))
    return found if found.fits(stream.width, stream.height) else NOTHING
