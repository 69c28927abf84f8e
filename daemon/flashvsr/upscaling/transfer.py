"""Frames to the model's device and back while it computes: in page-locked memory, on streams of their own.

    upload thread: frame -> buffer -> device, ahead of the model      main thread: takes it when the copy is done
    main thread: model -> integers, starts the copy back              encode thread: waits until it is here

The ring of buffers is PyTorch's own: page-locked memory that is let go is kept and given out again, but never while a
copy from or into it is under way. How many there are is bounded by the queues between the threads. On the CPU, frames
pass through as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from flashvsr.video.decode import Rgb

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Incoming:
    """A frame on its way to the device."""

    _picture: Tensor
    _copied: torch.cuda.Event | None

    def take(self) -> Tensor:
        """The frame (h, w, 3) on the device, for work on the current stream. The stream waits for it, not the host."""
        if self._copied is not None:
            stream = torch.cuda.current_stream(self._picture.device)
            stream.wait_event(self._copied)
            self._picture.record_stream(stream)  # its memory belongs to the copying stream, and is read by this one
        return self._picture


@dataclass(frozen=True)
class Outgoing:
    """Pixels on their way to the host."""

    _pixels: Rgb
    _copied: torch.cuda.Event | None

    def wait(self) -> Rgb:
        """The pixels, once they are here. Raises what went wrong on the device until then."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._pixels


class Upload:
    """Brings decoded frames to a device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = _own_stream(device)
        self._buffers = _Buffers()

    def send(self, rgb: Rgb) -> Incoming:
        """Start to bring a frame there, as the integers it is made of; any thread may. Waits for no copy."""
        picture = torch.from_numpy(rgb)
        if self._stream is None:
            return Incoming(picture.to(self._device), None)
        buffer = self._buffers.new(picture.shape, picture.dtype)
        np.copyto(buffer.numpy(), rgb)  # PyTorch's own copy would keep a team of threads busy for it
        with torch.cuda.stream(self._stream):
            there = buffer.to(self._device, non_blocking=True)
            return Incoming(there, _event(self._device))


class Download:
    """Brings finished frames from a device to the host."""

    def __init__(self, device: torch.device) -> None:
        self._stream = _own_stream(device)
        self._buffers = _Buffers()

    def send(self, pixels: Tensor) -> Outgoing:
        """Start to bring here what the current stream computes. The buffer is free again with the last use of it."""
        if self._stream is None:
            return Outgoing(pixels.cpu().numpy(), None)
        buffer = self._buffers.new(pixels.shape, pixels.dtype)
        self._stream.wait_stream(torch.cuda.current_stream(pixels.device))
        with torch.cuda.stream(self._stream):
            buffer.copy_(pixels, non_blocking=True)
            copied = _event(pixels.device)
        pixels.record_stream(self._stream)
        return Outgoing(buffer.numpy(), copied)


class Pace:
    """Lets the host be one step ahead of a device, and no more: a stop would have to wait for all that is begun."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._begun: torch.cuda.Event | None = None

    def step(self) -> None:
        """To call when a step's work has been given to the current stream; waits until the one before it is done."""
        if self._device.type != "cuda":
            return
        before, self._begun = self._begun, _event(self._device)
        if before is not None:
            before.synchronize()


class _Buffers:
    """Host memory for copies that run beside the computing: page-locked, as long as there is enough of it."""

    def __init__(self) -> None:
        self._locked = True

    def new(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        if self._locked:
            try:
                return torch.empty(shape, dtype=dtype, pin_memory=True)
            except RuntimeError as error:
                self._locked = False  # asking each time would cost more than it brings
                log.warning(
                    "no page-locked memory for the copies to and from the GPU, which now hold up its work: %s",
                    str(error).partition("\n")[0],
                )
        return torch.empty(shape, dtype=dtype)


def _own_stream(device: torch.device) -> torch.cuda.Stream | None:
    return torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]


def _event(device: torch.device) -> torch.cuda.Event:
    """The moment when the current stream has done what it was given; who waits for it sleeps, as cores are wanted."""
    event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(device))
    return event
