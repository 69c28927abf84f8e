"""Time on the device: by its own events where it has a queue, else by the clock."""

from __future__ import annotations

import time

import torch


def synchronize(device: torch.device) -> None:
    """Wait until the device has nothing left to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Moment:
    """The moment at which the device has done all that it was given until now."""

    def __init__(self, device: torch.device) -> None:
        self._event: torch.cuda.Event | None = None
        self._time = 0.0
        if device.type == "cuda":
            self._event = torch.cuda.Event(enable_timing=True)
            self._event.record()
        else:
            self._time = time.perf_counter()

    def until(self, later: Moment) -> float:
        """Seconds to a later moment of the same device; both must have come, see `synchronize`."""
        if self._event is not None and later._event is not None:
            return self._event.elapsed_time(later._event) / 1000
        return later._time - self._time
