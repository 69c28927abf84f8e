"""Moving pictures made by code: the same everywhere, with texture, edges and motion, and nobody's property."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

MOTION = (2, 1)  # pixels per frame, to the left and up
MADE = 16  # pictures made in advance, that come again and again
_OCTAVES = (128, 32, 8, 2)  # pixels of the texture's details, coarse to fine


def drifting(width: int, height: int, frames: int, seed: int = 0) -> Iterator[Picture]:
    """Pictures (height, width, 3) of a texture that drifts by, `frames` of them."""
    scene = _scene(width + MOTION[0] * frames, height + MOTION[1] * frames, seed)
    for index in range(frames):
        x, y = MOTION[0] * index, MOTION[1] * index
        yield np.ascontiguousarray(scene[y : y + height, x : x + width])


def repeated(width: int, height: int, frames: int) -> Iterator[Picture]:
    """As many pictures, the same few over and over: making them takes none of the time that is measured."""
    made = list(drifting(width, height, min(MADE, frames)))
    return islice(cycle(made), frames)


def _scene(width: int, height: int, seed: int) -> Picture:
    """Noise of several sizes with hard-edged discs upon it."""
    random = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 128, np.float32)
    for size in _OCTAVES:
        cells = random.normal(scale=20, size=(height // size + 1, width // size + 1, 3)).astype(np.float32)
        picture += cells.repeat(size, 0).repeat(size, 1)[:height, :width]
    row, column = np.ogrid[:height, :width]
    for _ in range(max(1, width * height // 40000)):
        radius = random.integers(4, 48)
        inside = (row - random.integers(height)) ** 2 + (column - random.integers(width)) ** 2 < radius**2
        picture[inside] = random.integers(0, 256, 3)
    return picture.clip(0, 255).astype(np.uint8)
