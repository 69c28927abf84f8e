"""Where the time of a window goes: the stages of a stream, timed from outside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flashvsr.bench.clocks import Moment, synchronize
from flashvsr.model.attention import WindowContext
from flashvsr.model.stages import Decode, Embed, Head, Hidden, Layers, Project, Stages
from flashvsr.model.stream import Stream
from flashvsr.model.windows import Window

Entered = Callable[[str], AbstractContextManager[None]]
"""Is entered for the time that the stage of this name computes."""


@dataclass
class _Span:
    name: str
    start: Moment
    parent: _Span | None
    end: Moment | None = None


class StageWatch:
    """Times the stages of one stream, and what else `stage` is entered for.

    Args:
        device: where the stream computes.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._spans: list[_Span] = []
        self._open: _Span | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the block as that of `name`."""
        span = _Span(name, Moment(self._device), self._open)
        self._open = span
        try:
            yield
        finally:
            span.end = Moment(self._device)
            self._open = span.parent
            self._spans.append(span)

    @contextmanager
    def watching(self, stream: Stream) -> Iterator[None]:
        """Time a stream's stages as long as the block runs. A stream that records windows must not be watched."""
        before = stream.stages
        stream.stages = watched(before, self.stage)
        try:
            yield
        finally:
            stream.stages = before

    def reset(self) -> None:
        """Forget what was timed so far."""
        self._spans.clear()

    def seconds(self) -> dict[str, float]:
        """Seconds of each stage since the last `reset`, without those of stages inside it."""
        synchronize(self._device)
        found: dict[str, float] = defaultdict(float)
        for span in self._spans:
            assert span.end is not None
            length = span.start.until(span.end)
            found[span.name] += length
            if span.parent is not None:
                found[span.parent.name] -= length
        return dict(found)


def watched(stages: Stages, entered: Entered) -> Stages:
    """The same stages; `entered` is called with "project", "layers", "head", "decode" or "colour" around each one.

    The head is patches to tokens and back: what is done before the layers and behind them.
    """

    def colour(frames: Tensor, condition: Tensor) -> Tensor:
        with entered("colour"):
            return stages.colour(frames, condition)

    return replace(
        stages,
        project=_Project(stages.project, entered),
        embed=_Embed(stages.embed, entered),
        layers=tuple(_Layers(part, entered) for part in stages.layers),
        head=_Head(stages.head, entered),
        decode=_Decode(stages.decode, entered),
        colour=colour,
    )


class _Project:
    def __init__(self, stage: Project, entered: Entered) -> None:
        self._stage, self._entered, self.device = stage, entered, stage.device

    def start(self, frame: Tensor) -> None:
        with self._entered("project"):
            self._stage.start(frame)

    def __call__(self, frames: Tensor) -> list[Tensor]:
        with self._entered("project"):
            return self._stage(frames)


class _Embed:
    def __init__(self, stage: Embed, entered: Entered) -> None:
        self._stage, self._entered, self.device = stage, entered, stage.device

    def upload(self, noise: Tensor) -> Tensor:
        with self._entered("head"):
            return self._stage.upload(noise)

    def __call__(self, noise: Tensor) -> Hidden:
        with self._entered("head"):
            return self._stage(noise)


class _Layers:
    def __init__(self, stage: Layers, entered: Entered) -> None:
        self._stage, self._entered, self.device, self.layers = stage, entered, stage.device, stage.layers

    def begin(self, step: Window) -> WindowContext:
        with self._entered("layers"):
            return self._stage.begin(step)

    def __call__(self, hidden: Hidden, fed: Sequence[Tensor], window: WindowContext) -> Hidden:
        with self._entered("layers"):
            return self._stage(hidden, fed, window)


class _Head:
    def __init__(self, stage: Head, entered: Entered) -> None:
        self._stage, self._entered, self.device = stage, entered, stage.device

    def __call__(self, hidden: Hidden, noise: Tensor) -> Tensor:
        with self._entered("head"):
            return self._stage(hidden, noise)


class _Decode:
    def __init__(self, stage: Decode, entered: Entered) -> None:
        self._stage, self._entered, self.device = stage, entered, stage.device

    def __call__(self, latents: Tensor, condition: Tensor) -> Iterator[Tensor]:
        parts = self._stage(latents, condition)
        while True:
            with self._entered("decode"):
                part = next(parts, None)
            if part is None:
                return
            yield part
