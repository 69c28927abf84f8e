"""The whole chain of the worker, from a source to the published result, with a model that only passes on.

Everything is the real thing but the network: probe, decode, scale, cut or extend, encode, join, verify, publish.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

from flashvsr.files.trees import NO_LINKS
from flashvsr.model.stream import StreamOptions
from flashvsr.outbox.targets import target_for
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset
from flashvsr.upscaling.control import Control
from flashvsr.upscaling.engine import AnyEngine
from flashvsr.upscaling.file import upscale_file
from flashvsr.upscaling.report import Report
from flashvsr.upscaling.task import Task

SAME = Preset(width=0, scale=1.0, fit="pad", encoder="software", quality=9)


class IdentityStream:
    """Gives every frame back, in batches as the model makes them."""

    def run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        source = iter(frames)
        while batch := list(islice(source, 8)):
            yield torch.stack(batch, dim=1)


class IdentityEngine:
    """An engine without a model: the picture is enlarged by the chain, and by nothing else."""

    name = label = identity = "identity"
    device = torch.device("cpu")
    note = None
    largest = 3840, 2160

    def save_memory(self) -> str | None:
        return None

    def stream(self, size: tuple[int, int], options: StreamOptions, origin: int) -> IdentityStream:
        return IdentityStream()


@dataclass
class Watching(Control):
    """A control that stops nothing, or raises `error` when `stop_at` frames are done."""

    stop_at: int | None = None
    error: Exception | None = None
    done: list[int] = field(default_factory=list)
    signs: int = 0

    def progress(self, done: int, total: int | None, fps: float) -> None:
        self.done.append(done)
        if self.stop_at is not None and done >= self.stop_at and self.error is not None:
            raise self.error

    def check_room(self, needs: Sequence[tuple[Path, int]]) -> None:
        self.needs = list(needs)

    def working(self) -> None:
        self.signs += 1


def chain(
    source: Path,
    folder: Path,
    config: Config | None = None,
    control: Watching | None = None,
    engine: AnyEngine | None = None,
    thumbnail: Path | None = None,
    **preset: Any,
) -> Report:
    """Run `source` through the chain and publish into `folder`/out; `preset`: what differs from `SAME`.

    `engine`: another one than `IdentityEngine`.
    """
    wanted = replace(SAME, **preset)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    task = Task(source, target_for(out, source.name, wanted.container), wanted, folder / "work", 1, NO_LINKS)
    task = replace(task, thumbnail=thumbnail)
    return upscale_file(task, engine or IdentityEngine(), config or Config(), control or Watching())


@dataclass(frozen=True)
class Played:
    """What a file shows and plays. `times`: seconds from its zero; `pictures`: RGB."""

    times: list[Fraction]
    pictures: list[np.ndarray]
    size: tuple[int, int]
    pixel_format: str


def played(path: Path) -> Played:
    """Decode a result with PyAV alone."""
    container: Any  # PyAV says of all times that they may be missing
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        return Played(
            [frame.pts * stream.time_base for frame in frames],
            [frame.to_ndarray(format="rgb24") for frame in frames],
            (stream.width, stream.height),
            frames[0].format.name,
        )
