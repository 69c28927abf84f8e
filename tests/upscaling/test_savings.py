"""Too little memory on the GPU: the engine does with less, step by step, and the job is finished all the same."""

from __future__ import annotations

from inspect import signature
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from flashvsr.errors import BadInput, Transient
from flashvsr.model.fused.stages import fused_stages
from flashvsr.model.stream import StreamOptions
from flashvsr.upscaling.engine import Engine
from flashvsr.upscaling.savings import STRIPS, Thrift

GB = 1 << 30
SMALL, LARGE = (512, 384), (1920, 1024)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the last fused stages were told about saving memory."""
    names, found = ("offload_cache", "small_batches", "strips"), {}

    def stages(*given: Any, **named: Any) -> None:
        bound = signature(fused_stages).bind(*given, **named)
        bound.apply_defaults()
        found.update({name: bound.arguments[name] for name in names})

    monkeypatch.setattr("flashvsr.model.fused.stages.fused_stages", stages)
    return found


def engine_on(device: str, *, fused: bool = True) -> Engine:
    params = SimpleNamespace(layers=30, dim=1536)
    model: Any = SimpleNamespace(device=torch.device(device), dtype=torch.bfloat16, dit=SimpleNamespace(params=params))
    kernels: Any = object() if fused else None
    return Engine(model, "name", "label", kernels)


def thrift_for(engine: Engine, size: tuple[int, int], told: dict[str, Any]) -> Thrift:
    engine.stream(size, StreamOptions(), 0)
    return Thrift(**told)


def gpu_memory(monkeypatch: pytest.MonkeyPatch, *, total: int, others: int, own: int) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (total - others - own, total))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _device: own)


def test_what_the_fused_kernels_can_save(told: dict[str, Any]) -> None:
    engine = engine_on("cuda:0")
    assert thrift_for(engine, LARGE, told) == Thrift()
    said = [str(engine.save_memory()) for _ in range(3)]
    assert "host memory" in said[0]
    assert "half as many frames" in said[1]
    assert said[2] == f"and it decodes the picture in {STRIPS} strips"
    assert thrift_for(engine, LARGE, told) == Thrift(offload_cache=True, small_batches=True, strips=STRIPS)


def test_what_the_plain_modules_can_save(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_on("cuda:0", fused=False)
    assert "host memory" in str(engine.save_memory())
    gpu_memory(monkeypatch, total=24 * GB, others=0, own=23 * GB)
    with pytest.raises(BadInput):
        engine.save_memory()


def test_smaller_pictures_are_spared_what_a_large_one_needs(told: dict[str, Any]) -> None:
    engine = engine_on("cuda:0")
    thrift_for(engine, LARGE, told)
    engine.save_memory()
    assert thrift_for(engine, SMALL, told) == Thrift()
    assert thrift_for(engine, LARGE, told) == Thrift(offload_cache=True)


def test_a_smaller_picture_that_does_not_fit_either(told: dict[str, Any]) -> None:
    engine = engine_on("cuda:0")
    for size in (LARGE, SMALL):
        thrift_for(engine, size, told)
        engine.save_memory()
    assert thrift_for(engine, SMALL, told) == thrift_for(engine, LARGE, told) == Thrift(offload_cache=True)


def test_an_engine_that_saves_already_takes_the_next_step(told: dict[str, Any]) -> None:
    engine = engine_on("cuda:0")
    engine.thrift = Thrift(offload_cache=True)
    assert thrift_for(engine, SMALL, told) == Thrift(offload_cache=True)
    assert "decoder" in str(engine.save_memory())


def test_a_picture_too_large_for_a_gpu_of_ones_own_is_refused(
    told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_on("cuda:0")
    thrift_for(engine, LARGE, told)
    for _ in range(3):
        engine.save_memory()
    gpu_memory(monkeypatch, total=8 * GB, others=GB, own=7 * GB)
    with pytest.raises(BadInput, match=r"1920x1024 does not fit into the 8 GB of this GPU, .*; set a smaller limit"):
        engine.save_memory()
    gpu_memory(monkeypatch, total=8 * GB, others=5 * GB, own=3 * GB)
    with pytest.raises(Transient, match="beside the 5 GB that other programs use"):
        engine.save_memory()


def test_caches_too_large_for_the_main_memory_are_refused(
    told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_on("cuda:0")
    engine.thrift = Thrift(offload_cache=True)
    # 30 layers' keys and values: 4 groups of 15360 tokens of 1536 16-bit channels are 180 MiB, for which 256 are taken.
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 17 * GB // 4096}
    monkeypatch.setattr("os.sysconf", pages.__getitem__)
    thrift_for(engine, LARGE, told)
    pages["SC_PHYS_PAGES"] = 16 * GB // 4096
    with pytest.raises(BadInput, match=r"1920x1024 needs 15 GB of main memory .* this machine has 16; set a smaller"):
        thrift_for(engine, LARGE, told)
    thrift_for(engine, SMALL, told)
    engine.thrift = Thrift()
    thrift_for(engine, LARGE, told)


def test_on_the_cpu_there_is_nothing_to_save() -> None:
    assert engine_on("cpu", fused=False).save_memory() is None
