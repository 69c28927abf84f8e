"""How fast this service's devices have been, by device, model and size: what the time that is left is reckoned from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from flashvsr.jobs.schema import Rate
from flashvsr.jobs.store import Store

LEAST_FRAMES = 24  # of fewer the beginning is most of the time
# Frames after which older measurements count half: a machine gets another neighbour, a driver, another flashvsr.
MEMORY_FRAMES = 4000.0

Size = tuple[int, int]


@dataclass(frozen=True)
class Measured:
    """Frames a second. `size`: (width, height) of the pictures that this was measured with, as the model computed them.

    `rough`: of pictures of another size, so that it is a guess.
    """

    frames_per_second: float
    size: Size
    rough: bool


class Rates:
    """The part of the queue that remembers how fast jobs were."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def note(self, device: str, model: str, size: Size, frames: int, seconds: float) -> None:
        """Take in that a job made `frames` of this size in `seconds`."""
        if frames < LEAST_FRAMES or seconds <= 0:
            return
        width, height = size
        key = {"device": device, "model": model, "width": width, "height": height}
        with self._store.writing():
            known = self._store.first(Rate.select().where(*_equal(key)))
            weight = 0.0 if known is None else min(1.0, MEMORY_FRAMES / (known.frames + frames))
            before = (0.0, 0.0) if known is None else (known.frames * weight, known.seconds * weight)
            values = {"frames": before[0] + frames, "seconds": before[1] + seconds, "updated": time.time()}
            self._store.run(Rate.delete().where(*_equal(key)))
            self._store.run(Rate.insert(**key, **values))

    def all(self) -> list[Rate]:
        """Return what was measured, the newest first."""
        return self._store.rows(Rate.select().order_by(Rate.updated.desc()))


def rate_for(rates: Sequence[Rate], size: Size, device: str | None = None, model: str | None = None) -> Measured | None:
    """How fast pictures of `size` are made, by what was measured; None where nothing was.

    Of another size the nearest counts, by its pixels. None of `device` and `model` asked for: the newest measurement's.
    """
    if device is None and model is None and rates:
        device, model = rates[0].device, rates[0].model
    found = [row for row in rates if device in (None, row.device) and model in (None, row.model)]
    if not found:
        return None
    pixels = size[0] * size[1]
    nearest = min(found, key=lambda row: abs(row.width * row.height - pixels))
    there = nearest.width * nearest.height
    return Measured(
        nearest.frames / nearest.seconds * there / pixels,
        (nearest.width, nearest.height),
        rough=abs(there - pixels) > 0.01 * pixels,
    )


def _equal(key: dict[str, object]) -> list[object]:
    return [getattr(Rate, name) == value for name, value in key.items()]
