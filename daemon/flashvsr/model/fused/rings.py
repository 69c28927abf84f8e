"""Where the kept keys and values of all layers live: on the device, or in host memory and fetched a layer ahead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from flashvsr.kernels.fp8_attention import FORMAT
from flashvsr.kernels.rotate_blocks import Ring
from flashvsr.kernels.shapes import BLOCK_TOKENS, HEAD_DIM


class Rings(Protocol):
    """The rings of one stream. A layer takes its ring, writes its window's groups, tells so, attends, and is done."""

    def begin(self, slots: Sequence[int]) -> None:
        """A window begins that will write these slots."""

    def take(self, layer: int) -> Ring:
        """The ring of a layer, on the device."""

    def written(self, layer: int) -> None:
        """The window's groups are in the ring."""

    def done(self, layer: int) -> None:
        """The layer has attended; its ring is not read again in this window."""


def new_ring(slots: int, blocks: int, dim: int, like: Tensor) -> Ring:
    """Room for `slots` groups of `blocks` blocks on the device of `like`, in its number format."""
    keys, values = (like.new_empty(slots * blocks * BLOCK_TOKENS, dim) for _ in range(2))
    return Ring(keys, values, *_new_facts(slots * blocks, dim, like))


def _new_facts(blocks: int, dim: int, like: Tensor) -> tuple[Tensor, Tensor | None]:
    """Means of key blocks, and scales of values if they have 8 bits."""
    heads = dim // HEAD_DIM
    scales = like.new_empty(blocks, heads, dtype=torch.float32) if like.dtype == FORMAT else None
    return like.new_empty(blocks, heads, HEAD_DIM, dtype=torch.float32), scales


class DeviceRings:
    """All of them stay on the device."""

    def __init__(self, layers: int, slots: int, blocks: int, dim: int, like: Tensor) -> None:
        self._rings = [new_ring(slots, blocks, dim, like) for _ in range(layers)]

    def begin(self, slots: Sequence[int]) -> None:
        """See `Rings`."""

    def take(self, layer: int) -> Ring:
        return self._rings[layer]

    def written(self, layer: int) -> None:
        """See `Rings`."""

    def done(self, layer: int) -> None:
        """See `Rings`."""


class HostRings:
    """Keys and values stay in pinned host memory; two layers' worth of them is on the device.

    While one layer computes, the next one's kept groups are on their way in and the last one's new group on its way
    out, on a stream for either direction. Block means and scales are small and stay on the device.
    """

    def __init__(self, layers: int, slots: int, blocks: int, dim: int, like: Tensor) -> None:
        self._group = blocks * BLOCK_TOKENS  # rows of one slot
        on_gpu = like.is_cuda
        self._host = [
            [torch.empty(slots * self._group, dim, dtype=like.dtype, pin_memory=on_gpu) for _ in range(2)]
            for _ in range(layers)
        ]
        self._facts = [_new_facts(slots * blocks, dim, like) for _ in range(layers)]
        self._seats = [_Seat(new_ring(slots, blocks, dim, like)) for _ in range(2)]
        self._filled: set[int] = set()  # slots that hold groups
        self._fresh: set[int] = set()  # and those that this window writes
        self._inward = torch.cuda.Stream(like.device) if on_gpu else None
        self._outward = torch.cuda.Stream(like.device) if on_gpu else None

    def begin(self, slots: Sequence[int]) -> None:
        self._filled |= self._fresh
        self._fresh = set(slots)
        self._fetch(0)

    def take(self, layer: int) -> Ring:
        seat = self._seats[layer % 2]
        seat.arrived.wait()
        if layer + 1 < len(self._host):
            self._fetch(layer + 1)
        return Ring(seat.ring.keys, seat.ring.values, *self._facts[layer])

    def written(self, layer: int) -> None:
        seat = self._seats[layer % 2]
        ready = _Mark.now()
        with torch.cuda.stream(self._outward):
            ready.wait()
            for slot in sorted(self._fresh):
                self._copy(slot, (seat.ring.keys, seat.ring.values), self._host[layer])
            seat.left = _Mark.now()

    def done(self, layer: int) -> None:
        self._seats[layer % 2].read = _Mark.now()

    def _fetch(self, layer: int) -> None:
        seat = self._seats[layer % 2]
        with torch.cuda.stream(self._inward):
            # Whoever sat here before must have been read, and its new group copied out. Its own groups of the window
            # before were copied out long ago: that copy is before the `left` of a later layer on the same stream.
            seat.read.wait()
            seat.left.wait()
            for slot in sorted(self._filled - self._fresh):
                self._copy(slot, self._host[layer], (seat.ring.keys, seat.ring.values))
            seat.arrived = _Mark.now()

    def _copy(self, slot: int, source: Sequence[Tensor], target: Sequence[Tensor]) -> None:
        rows = slice(slot * self._group, (slot + 1) * self._group)
        for a, b in zip(source, target, strict=True):
            b[rows].copy_(a[rows], non_blocking=True)


class _Mark:
    """A point in a stream that another one can wait for; nothing without a GPU, where everything happens in turn."""

    def __init__(self, event: torch.cuda.Event | None = None) -> None:
        self._event = event

    @classmethod
    def now(cls) -> _Mark:
        if not torch.cuda.is_available():
            return cls()
        event = torch.cuda.Event()
        event.record()
        return cls(event)

    def wait(self) -> None:
        """The current stream goes on when that point is reached."""
        if self._event is not None:
            self._event.wait()


class _Seat:
    """Room for one layer's ring on the device.

    Attributes:
        ring: the tensors.
        arrived: the kept groups are there.
        read: the layer has attended.
        left: its new groups are in host memory.
    """

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.arrived = self.read = self.left = _Mark()
