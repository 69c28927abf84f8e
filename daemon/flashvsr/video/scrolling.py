"""Pictures that scroll: their lines look like combs to a search for interlacing, and are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Lines = np.ndarray  # (height, up to 511) int16, brightness in code values of 8 bits

_COLUMNS = 256  # looked at, at least, of a wide picture
_MOVED = 12  # code values; a pixel that changes by less stands still, or is noise
_FEWEST = 50  # of such pixels, for an answer
_FARTHEST = 8  # lines from frame to frame
_EXACT = 0.1  # of the difference, left when the frame before is moved; of interlaced pictures, half is left


def lines_of(frame: VideoFrame) -> Lines:
    """All lines of a frame's brightness, with some of its columns."""
    plane, bits = frame.planes[0], frame.format.components[0].bits
    samples = np.frombuffer(bytes(plane), np.uint16 if bits > 8 else np.uint8).reshape(plane.height, -1)
    picked = samples[:, : plane.width : max(1, plane.width // _COLUMNS)].astype(np.int32)
    return (picked >> max(0, bits - 8)).astype(np.int16)


def scrolled(before: Lines, now: Lines) -> bool:
    """Whether `now` is the frame before moved up or down by an odd number of lines.

    That takes every line to the place of one of the other field, so both fields show one moment. Interlaced pictures
    that scroll move by an even number between frames, for each field comes half-way between those of the other.
    """
    height = len(now)
    if before.shape != now.shape or height <= 4 * _FARTHEST:
        return False
    inner = slice(_FARTHEST, height - _FARTHEST)
    moved = np.abs(now - before)[inner] > _MOVED
    if np.count_nonzero(moved) < _FEWEST:
        return False
    pixels = now[inner][moved]

    def left(lines: int) -> int:
        there = before[_FARTHEST + lines : height - _FARTHEST + lines]
        return int(np.abs(pixels - there[moved]).sum(dtype=np.int64))

    return min(left(lines) for lines in range(1 - _FARTHEST, _FARTHEST, 2)) <= _EXACT * left(0)
