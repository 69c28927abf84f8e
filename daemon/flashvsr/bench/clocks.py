"""Time on the device: by its own events where it has a queue, else by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

Mark = Callable[[], float]  # seconds on the device's clock, known once it has come so far


def synchronize(device: torch.device) -> None:
    """Wait until the device has nothing left to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def marks(device: torch.device) -> Callable[[], Mark]:
    """A function that marks this moment in the device's work. Read the marks after `synchronize` only."""
    if device.type != "cuda":
        return _now
    origin = _event()

    def mark() -> Mark:
        event = _event()
        return lambda: origin.elapsed_time(event) / 1000

    return mark


def _now() -> Mark:
    moment = time.perf_counter()
    return lambda: moment


def _event() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event
