"""How much FFmpeg may allocate in one piece: lengths in files are made up, and a packet of gigabytes is soon told."""

from __future__ import annotations

import ctypes
import logging
from functools import cache
from pathlib import Path

log = logging.getLogger(__name__)

# Attachments and tables of samples may be as large; FFmpeg's own bound for what Matroska holds in one piece is half.
LEAST_BLOCK = 512 << 20
_BYTES_PER_PIXEL = 8  # four samples of 16 bits; no packet of a picture is larger than the picture
_MARGIN = 16 << 20
_FFMPEG_DEFAULT = (1 << 31) - 1


def largest_block(*pixels: int) -> int:
    """Bytes that the largest piece may have, where pictures of so many pixels go through FFmpeg."""
    return min(_FFMPEG_DEFAULT, max(LEAST_BLOCK, _BYTES_PER_PIXEL * max(pixels) + _MARGIN))


def bound_allocations(most: int) -> None:
    """From now on no single piece of FFmpeg's memory in this process is larger; what needs more of it fails."""
    for library in _utilities():
        library.av_max_alloc(ctypes.c_size_t(most))


@cache
def _utilities() -> tuple[ctypes.CDLL, ...]:
    """The libavutil that PyAV uses: it is loaded already, under whatever name. None where it is linked statically."""
    import av  # noqa: F401  # loads it

    lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    names = {line.split(maxsplit=5)[5] for line in lines if "/libavutil" in line}
    found = tuple(library for library in map(ctypes.CDLL, sorted(names)) if hasattr(library, "av_max_alloc"))
    if not found:
        log.warning("FFmpeg's libavutil is not to be found: the size of single packets is not bounded")
    return found
