"""Frames on their way to the model and back where there is no GPU; `tests/gpu/test_transfer.py` has the other half."""

from __future__ import annotations

import itertools
import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from flashvsr.upscaling import transfer
from flashvsr.upscaling.transfer import Download, Pace, Upload, _Buffers

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_the_cpu_works_on_the_decoded_frame_itself(kind: type[np.uint8] | type[np.uint16]) -> None:
    rgb: Any = np.arange(24, dtype=kind).reshape(2, 4, 3)
    taken = Upload(CPU).send(rgb).take()
    rgb[0, 0, 0] = 77
    assert taken[0, 0, 0] == 77
    back = Download(CPU).send(taken).wait()
    assert back.dtype == kind
    assert np.shares_memory(back, rgb)


@pytest.mark.parametrize(("device", "waited_for"), [(CPU, []), (torch.device("cuda", 0), [0, 1])], ids=["cpu", "cuda"])
def test_the_step_before_is_waited_for_but_never_on_the_cpu(
    device: torch.device, waited_for: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, waits = itertools.count(), []

    def event(_: torch.device) -> SimpleNamespace:
        number = next(steps)
        return SimpleNamespace(synchronize=lambda: waits.append(number))

    monkeypatch.setattr(transfer, "_event", event)
    pace = Pace(device)
    for _ in range(3):
        pace.step()
    assert waits == waited_for
    assert next(steps) == (3 if device.type == "cuda" else 0)  # nor is anything made to wait for


def test_without_page_locked_memory_ordinary_memory_serves(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain, asked = torch.empty, []

    def empty(shape: tuple[int, ...], *, dtype: torch.dtype, pin_memory: bool = False) -> torch.Tensor:
        asked.append(pin_memory)
        if pin_memory:
            raise RuntimeError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA")
        return plain(shape, dtype=dtype)

    monkeypatch.setattr(torch, "empty", empty)
    buffers = _Buffers()
    with caplog.at_level(logging.WARNING):
        made = [buffers.new((2, 3), torch.uint16) for _ in range(3)]
    assert [(tuple(buffer.shape), buffer.dtype) for buffer in made] == [((2, 3), torch.uint16)] * 3
    assert asked == [True, False, False, False]
    assert [record.getMessage().rsplit(": ", 2)[1:] for record in caplog.records] == [["CUDA error", "out of memory"]]
