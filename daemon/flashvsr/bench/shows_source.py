"""A model at work whose frames nobody sees: an encoder gets pictures where random weights would give it noise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from flashvsr.model.stream import StreamOptions
from flashvsr.upscaling.engine import AnyEngine, FrameStream
from flashvsr.upscaling.pairing import Tagged, through


class ShowsSource:
    """An engine whose model works as always, and whose frames are then its own input's."""

    def __init__(self, engine: AnyEngine) -> None:
        self._engine = engine
        self.name, self.label, self.note = engine.name, engine.label, engine.note
        self.identity = f"{engine.identity}, showing the source"
        self.device, self.largest = engine.device, engine.largest

    def save_memory(self) -> str | None:
        return self._engine.save_memory()

    def stream(self, size: tuple[int, int], options: StreamOptions, origin: int) -> FrameStream:
        return _Shown(self._engine.stream(size, options, origin))


class _Shown:
    def __init__(self, stream: FrameStream) -> None:
        self._stream = stream

    def run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        for batch in through(self._stream, (Tagged(frame, frame) for frame in frames)):
            yield torch.stack(batch.tags, dim=1)
