"""How much FFmpeg may allocate in one piece: lengths in files are made up, and a packet of gigabytes is soon told."""

from __future__ import annotations

import ctypes
import logging
from functools import cache
from pathlib import Path

log = logging.getLogger(__name__)

_ANY_BLOCK = 512 << 20  # of attachments, tables of samples and the like; FFmpeg's Matroska demuxer takes half of it
_SHARE = 4  # blocks that the memory for opening a file has room for
_BYTES_PER_PIXEL = 8  # four samples of 16 bits; no packet of a picture is larger than the picture
_MARGIN = 16 << 20
_MAPS = Path("/proc/self/maps")
_FFMPEG_DEFAULT = (1 << 31) - 1


def largest_block(memory: int, *pixels: int) -> int:
    """Bytes that the largest piece may have.

    `memory`: bytes that opening a file may take, 0 for any. `pixels`: of each picture that will go through FFmpeg; none
    are known while a file is opened.
    """
    share = memory // _SHARE if memory else _FFMPEG_DEFAULT
    needed = max((_BYTES_PER_PIXEL * count + _MARGIN for count in pixels), default=0)
    return min(_FFMPEG_DEFAULT, max(min(_ANY_BLOCK, share), needed))


def bound_allocations(most: int) -> None:
    """From now on no single piece of FFmpeg's memory in this process is larger; what needs more of it fails."""
    for library in _utilities():
        library.av_max_alloc(ctypes.c_size_t(most))


@cache
def _utilities() -> tuple[ctypes.CDLL, ...]:
    """The libavutil that PyAV uses: it is loaded already, under whatever name. None where it is linked statically."""
    import av  # noqa: F401  # loads it

    lines = _MAPS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    names = {line.split(maxsplit=5)[5] for line in lines if "/libavutil" in line}
    found = tuple(library for library in map(ctypes.CDLL, sorted(names)) if hasattr(library, "av_max_alloc"))
    if not found:
        log.warning("FFmpeg's libavutil is not to be found: the size of single packets is not bounded")
    return found
