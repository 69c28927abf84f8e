"""The largest result that a device has memory for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from flashvsr.upscaling import largest
from flashvsr.upscaling.largest import COMMON, WITHOUT_GPU, largest_result

GIB = 1 << 30


def model_on(device: str) -> Any:
    params = SimpleNamespace(layers=30, dim=1536)
    return SimpleNamespace(device=torch.device(device), dtype=torch.bfloat16, dit=SimpleNamespace(params=params))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pretend a GPU of so much memory (GiB) in a machine of so much."""

    def pretend(gpu: float, main: float = 1024) -> None:
        properties = SimpleNamespace(total_memory=int(gpu * GIB))
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _device: properties)
        monkeypatch.setattr(largest, "main_memory", lambda: int(main * GIB))

    return pretend


def test_without_a_gpu() -> None:
    assert largest_result(model_on("cpu"), fused=False) == WITHOUT_GPU == (1920, 1080)


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
def test_by_the_memory_of_the_gpu(machine: Any, gpu: float, result: tuple[int, int]) -> None:
    machine(gpu)
    assert largest_result(model_on("cuda"), fused=True) == result


def test_caches_in_main_memory_need_some(machine: Any) -> None:
    machine(31.4, main=64)
    assert largest_result(model_on("cuda"), fused=True) == (2560, 1440)
    machine(31.4, main=24)
    assert largest_result(model_on("cuda"), fused=True) == (1920, 1080), "without any saving"
    machine(90, main=8)
    assert largest_result(model_on("cuda"), fused=True) == (3840, 2160), "nothing has to be saved"


def test_plain_pytorch_takes_more(machine: Any) -> None:
    machine(31.4)
    assert largest_result(model_on("cuda"), fused=False) == (1920, 1080)


def test_more_memory_is_never_worse(machine: Any) -> None:
    found = []
    for gpu in range(2, 140):
        machine(gpu)
        found.append(COMMON.index(largest_result(model_on("cuda"), fused=True)))
    assert found == sorted(found, reverse=True)
