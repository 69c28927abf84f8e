"""What goes along with a frame while it passes through the model, which takes and gives plain tensors."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor

from flashvsr.upscaling.engine import FrameStream

P = TypeVar("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Tagged(Generic[P, T]):
    """A picture and its tag: its timestamp, or whatever somebody needs again beside what the model makes of it."""

    picture: P
    tag: T


@dataclass(frozen=True)
class Batch(Generic[P, T]):
    """Consecutive frames in one piece, and the tag of each."""

    pixels: P
    tags: list[T]


def through(stream: FrameStream, frames: Iterable[Tagged[Tensor, T]]) -> Iterator[Batch[Tensor, T]]:
    """Send frames (3, H, W) through a stream; its batches (3, n, H, W) come with the tags of their frames."""
    inside: deque[T] = deque()  # tags of the frames that the model has taken and not given back yet

    def pictures() -> Iterator[Tensor]:
        for frame in frames:
            inside.append(frame.tag)
            yield frame.picture

    for made in stream.run(pictures()):
        yield Batch(made, [inside.popleft() for _ in range(made.shape[1])])
