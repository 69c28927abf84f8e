"""Which attention kernel a device takes, and what is done where a Triton cannot make it."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch

from flashvsr.kernels.gpu import attention_kernels, block_sparse_attention, large_tiles
from flashvsr.kernels.gpu.attention_kernels import fp8_kernel_for, kernel_for

CPU = torch.device("cpu")
HOPPER = ("hopper_attention", "fp8_attention")


@pytest.fixture
def hopper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_kernels, "_is_hopper", lambda device: True)


def broken(*_: object) -> None:
    raise RuntimeError("PassManager::run failed\n  somewhere")


def test_elsewhere_the_portable_kernel_and_none_in_eight_bits() -> None:
    assert kernel_for("triton", CPU) is block_sparse_attention.block_sparse_attention
    assert fp8_kernel_for("triton", CPU) is None


@pytest.mark.usefixtures("hopper")
@pytest.mark.parametrize("how", ["it is not there", "it does not compile"])
def test_where_gluon_fails_the_portable_kernel_takes_over_with_a_warning(
    how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if how == "it is not there":
        for name in HOPPER:
            monkeypatch.setitem(sys.modules, f"flashvsr.kernels.gpu.{name}", None)
            monkeypatch.delattr(f"flashvsr.kernels.gpu.{name}", raising=False)
    else:
        monkeypatch.setattr("flashvsr.kernels.gpu.hopper_attention.block_sparse_attention", broken)
        monkeypatch.setattr("flashvsr.kernels.gpu.fp8_attention.fp8_attention", broken)
    assert kernel_for("triton", CPU) is block_sparse_attention.block_sparse_attention
    assert fp8_kernel_for("triton", CPU) is None
    first, second = [record.getMessage() for record in caplog.records]
    assert "attention in bfloat16: one for all GPUs takes over, which is slower (" in first
    assert "attention in 8 bits: attention computes in 16 bits (" in second
    assert "\n" not in first


@pytest.mark.usefixtures("hopper")
def test_a_kernel_that_runs_is_taken(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def runs(*_: Any) -> Any:
        pass

    monkeypatch.setattr("flashvsr.kernels.gpu.hopper_attention.block_sparse_attention", runs)
    monkeypatch.setattr("flashvsr.kernels.gpu.fp8_attention.fp8_attention", runs)
    found: list[Any] = [kernel_for("triton", CPU), fp8_kernel_for("triton", CPU)]
    assert found == [runs, runs]
    assert caplog.records == []


@pytest.mark.usefixtures("hopper")
def test_a_gpu_without_memory_is_no_fault_of_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("flashvsr.kernels.gpu.hopper_attention.block_sparse_attention", full)
    with pytest.raises(torch.OutOfMemoryError):
        kernel_for("triton", CPU)


@pytest.mark.parametrize(
    ("capability", "large"), [((8, 0), False), ((8, 9), False), ((9, 0), True), ((10, 3), True), ((12, 0), False)]
)
def test_large_tiles_where_they_fit(capability: tuple[int, int], large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda", 7)  # nobody asks it
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.version, "hip", None)
    large_tiles.takes_large_tiles.cache_clear()
    assert large_tiles.takes_large_tiles(gpu) is large
    assert attention_kernels._is_hopper(gpu) is (capability[0] == 9)
    large_tiles.takes_large_tiles.cache_clear()


def test_the_numbers_of_rocm_mean_other_chips(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda", 7)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 4))
    monkeypatch.setattr(torch.version, "hip", "6.4")
    large_tiles.takes_large_tiles.cache_clear()
    assert not attention_kernels._is_hopper(gpu)
    assert not large_tiles.takes_large_tiles(gpu)
    large_tiles.takes_large_tiles.cache_clear()
