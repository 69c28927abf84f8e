"""How large a source may be: a file says anything about itself, and some say it to do harm."""

from __future__ import annotations

from dataclasses import dataclass


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
