"""Where the time of a window goes: the stages of a stream, timed from outside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from flashvsr.bench.clocks import Moment, synchronize

# Methods of a stream that are looked for. The time of one within another counts for itself alone.
METHODS = ("denoise", "project", "layers", "transform", "head", "decode", "colour")
NETWORK = "network"  # the decoder's own layers, where `decode` corrects the colour as well


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
    def watching(self, stream: Any, decoder: nn.Module) -> Iterator[None]:
        """Time the methods of a stream, and the decoder's layers, as long as the block runs."""
        found = {name: method for name in METHODS if callable(method := getattr(stream, name, None))}
        for name, method in found.items():
            setattr(stream, name, self._timed(name, method))
        running: list[Any] = []

        def enter(*_: object) -> None:
            running.append(self.stage(NETWORK))
            running[-1].__enter__()

        def leave(*_: object) -> None:
            running.pop().__exit__(None, None, None)

        hooks = [decoder.register_forward_pre_hook(enter), decoder.register_forward_hook(leave)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            for name in found:
                delattr(stream, name)

    def reset(self) -> None:
        """Forget what was timed so far."""
        self._spans.clear()

    def seconds(self) -> dict[str, float]:
        """Seconds of each stage since the last `reset`, without those of stages inside it.

        "denoise" is there only where the stages in it are not told apart, and "decode" has the colour in it where
        there is no "colour".
        """
        synchronize(self._device)
        found: dict[str, float] = defaultdict(float)
        for span in self._spans:
            assert span.end is not None
            length = span.start.until(span.end)
            found[span.name] += length
            if span.parent is not None:
                found[span.parent.name] -= length
        if "transform" in found:  # the layers and the head in one
            found["layers"] = found.pop("transform")
        if "layers" in found:  # what `denoise` does beside it: patches, head
            found["head"] += found.pop("denoise", 0.0)
        if NETWORK in found:  # then what is left of `decode` is the correction
            found["colour"] += found["decode"]
            found["decode"] = found.pop(NETWORK)
        return dict(found)

    def _timed(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.stage(name):
                return method(*arguments, **named)

        return timed
