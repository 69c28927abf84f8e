"""The largest result that a device has memory for."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from flashvsr.upscaling import largest
from flashvsr.upscaling.engine import Engine
from flashvsr.upscaling.largest import COMMON, PUBLISHED, WITHOUT_GPU, largest_result

GIB = 1 << 30


@pytest.fixture(autouse=True)
def main_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """The machine has plenty, until a test says how much (GiB)."""

    def has(gib: int) -> None:
        monkeypatch.setattr(largest, "main_memory", lambda: gib * GIB)

    has(1024)
    return has


def on(gpu: float, *, fused: bool = True) -> tuple[int, int]:
    return largest_result(int(gpu * GIB), fused=fused)


def test_without_a_gpu() -> None:
    assert largest_result(None) == WITHOUT_GPU == (1920, 1080)


@pytest.mark.parametrize(
    ("gpu", "result"),
    [
        (139, (3840, 2160)),
        (31.4, (3840, 2160)),
        (23.6, (2560, 1440)),
        (15.6, (2560, 1440)),
        (11.7, (1920, 1080)),
        (7.7, (1280, 720)),
        (4, (960, 540)),  # nothing fits; the smallest is tried
    ],
)
def test_by_the_memory_of_the_gpu(gpu: float, result: tuple[int, int]) -> None:
    assert on(gpu) == result


def test_caches_in_main_memory_need_some(main_memory: Callable[[int], None]) -> None:
    main_memory(64)
    assert on(31.4) == (2560, 1440)
    main_memory(24)
    assert on(31.4) == (1920, 1080), "without any saving"
    main_memory(8)
    assert on(90) == (3840, 2160), "nothing has to be saved"


def test_plain_pytorch_takes_more() -> None:
    assert on(31.4, fused=False) == (1920, 1080)


def test_more_memory_is_never_worse() -> None:
    found = [COMMON.index(on(gpu)) for gpu in range(2, 140)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(("device", "result"), [("cpu", (1920, 1080)), ("cuda", (1280, 720))])
def test_an_engine_asks_its_own_device(device: str, result: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    properties = SimpleNamespace(total_memory=int(7.7 * GIB))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _device: properties)
    params = SimpleNamespace(layers=PUBLISHED.layers, dim=PUBLISHED.dim)
    model: Any = SimpleNamespace(device=torch.device(device), dtype=torch.bfloat16, dit=SimpleNamespace(params=params))
    kernels: Any = object()
    assert Engine(model, "name", "label", kernels).largest == result
