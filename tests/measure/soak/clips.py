"""Small videos whose every frame says which it is: a wrong, doubled or missing one shows, also after lossy coding."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from kits.media_facts import Facts, facts
from kits.videos import tone, write_video

_SIDE = 4  # blocks in a row and in a column: 16 bits, 8 for the clip and 8 for the frame
_DARK, _BRIGHT = 40, 215
_MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True)
class Clip:
    """A source. `tag`: the number that all its frames carry beside their own. `facts`: what it holds."""

    path: Path
    tag: int
    digest: str
    facts: Facts

    @property
    def frames(self) -> int:
        return len(self.facts.video_times)


def make_clip(folder: Path, tag: int, rng: random.Random) -> Clip:
    """Write a clip of 9 to 70 frames; some have sound, some a varying frame rate."""
    width, height = rng.choice(((128, 128), (256, 128), (192, 128)))
    frames = rng.randint(9, 70)
    pictures = [_picture(tag, number, width, height) for number in range(frames)]
    steps = [rng.choice((20, 33, 50, 120)) if tag % 3 == 0 else 40 for _ in pictures]
    times = [sum(steps[:number]) for number in range(frames)]
    path = folder / f"{tag}.{rng.choice(('mp4', 'mkv', 'mov'))}"
    write_video(
        path,
        pictures,
        times=times,
        time_base=_MILLISECOND,
        audio=tone(sum(steps) / 1000) if rng.random() < 0.6 else None,
    )
    return Clip(path, tag, digest_of(path), facts(path))


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_frames(path: Path) -> list[tuple[int, int]]:
    """(tag, number) of every frame, in the order of presentation."""
    container: Any
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        shown = sorted((frame.pts, _read(frame.to_ndarray(format="gray"))) for frame in container.decode(stream))
    return [what for _, what in shown]


def _picture(tag: int, number: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    bits = tag << 8 | number
    grid = np.array([_BRIGHT if bits >> bit & 1 else _DARK for bit in range(_SIDE**2)], np.uint8)
    blocks = np.kron(grid.reshape(_SIDE, _SIDE), np.ones((height // _SIDE, width // _SIDE), np.uint8))
    return np.repeat(blocks[:, :, None], 3, axis=2)


def _read(gray: npt.NDArray[np.uint8]) -> tuple[int, int]:
    height, width = gray.shape[0] // _SIDE, gray.shape[1] // _SIDE
    bits = 0
    for bit in range(_SIDE**2):
        row, column = divmod(bit, _SIDE)
        top, left = row * height + height // 4, column * width + width // 4
        middle = gray[top : top + height // 2, left : left + width // 2]
        bits |= int(middle.mean() > (_DARK + _BRIGHT) / 2) << bit
    return bits >> 8, bits & 0xFF
