"""Room on disks: what is free, what a result will need, and what is kept free in any case."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from flashvsr.errors import NoSpace
from flashvsr.files import at
from flashvsr.files.advice import explained
from flashvsr.files.trees import OWN, Trees
from flashvsr.system.text import printable

_GIB = 1 << 30


def free_bytes(directory: Path) -> int:
    """Bytes that can be written at `directory`, one of the service's own, or where it will be made.

    Raises Transient if that cannot be told.
    """
    return _status(OWN, directory)[1]


def check_low_water(directory: Path, least: int) -> None:
    """Raise NoSpace if fewer than `least` bytes are free at a directory of the service's own."""
    free = free_bytes(directory)
    if free < least:
        raise NoSpace(
            f"only {_text(free)} free in {printable(directory)}, less than queue.min_free = {_text(least)}; make room"
        )


def check_room(trees: Trees, needs: Sequence[tuple[Path, int]], least: int) -> None:
    """Raise NoSpace unless there is room for the bytes that each directory will take, and `least` beside them.

    Directories on one file system share its room.
    """
    wanted: dict[int, int] = {}
    for directory, size in needs:
        device, free = _status(trees, directory)
        wanted[device] = wanted.get(device, least) + size
        if free < wanted[device]:
            raise NoSpace(
                f"{printable(directory)} has {_text(free)} free, and about {_text(wanted[device])} are needed: for "
                "this video and queue.min_free; make room"
            )


def expected_bytes(width: int, height: int, frames: int, quality: int) -> int:
    """About the size of a result at a preset's quality."""
    return bytes_at_crf(width, height, frames, int(51 * (1 - quality / 10)))


def bytes_at_crf(width: int, height: int, frames: int, crf: int) -> int:
    """About the size of a video: a tenth of a bit per pixel at x264's CRF 20, twice that for 6 steps less."""
    return int(width * height * frames * 0.1 / 8 * math.exp2((20 - crf) / 6))


def _status(trees: Trees, directory: Path) -> tuple[int, int]:
    with explained("look at", directory), at.closing(trees.nearest_directory(directory)) as existing:
        status = os.fstatvfs(existing)
        return os.fstat(existing).st_dev, status.f_bavail * status.f_frsize


def _text(size: int) -> str:
    return f"{size / _GIB:.1f} GiB" if size >= _GIB // 10 else f"{size / (1 << 20):.1f} MiB"
