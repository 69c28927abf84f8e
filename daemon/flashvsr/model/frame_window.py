"""The input frames that a stream still needs."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class FrameWindow:
    """A few frames of a source, addressed by their number; the last one repeats beyond the end.

    Attributes:
        ended_at: how many frames the source had; None while it has not ended.
    """

    def __init__(self, frames: Iterable[Tensor], dtype: torch.dtype, device: torch.device) -> None:
        """`frames` (3, H, W) are held as `dtype` on `device`."""
        self._source = iter(frames)
        self._dtype, self._device = dtype, device
        self._held: list[Tensor] = []
        self._first = 0
        self.ended_at: int | None = None

    def read_to(self, stop: int) -> None:
        """Have all frames before `stop`."""
        while self._first + len(self._held) < stop:
            frame = None if self.ended_at is not None else next(self._source, None)
            if frame is None:
                if self.ended_at is None:
                    self.ended_at = self._first + len(self._held)
                if not self._held:
                    return
                self._held.append(self._held[-1])
            else:
                self._held.append(frame.to(self._device, self._dtype))

    def frames(self, start: int, stop: int) -> Tensor:
        """Frames [start, stop) as (3, F, H, W)."""
        return torch.stack(self._held[start - self._first : stop - self._first], dim=1)

    def drop_before(self, index: int) -> None:
        """Forget the frames before `index`."""
        del self._held[: index - self._first]
        self._first = index
