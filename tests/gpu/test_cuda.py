"""The model on a CUDA device. Skipped where there is none; `python tests/measure/full_size.py` has the 1.3B shapes."""

from __future__ import annotations

import pytest
import torch

from flashvsr.model.network import FlashVSR
from flashvsr.model.stages import plain_stages
from flashvsr.model.stream import Stream, StreamSpec
from kits.golden_cases import compare, formula_model
from kits.models import TINY
from kits.paths import GOLDEN

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]


@pytest.fixture(autouse=True)
def _exact() -> None:
    torch.backends.cudnn.allow_tf32 = False


@pytest.mark.parametrize("name", ["defaults", "sparse", "wide", "color"])
def test_golden_files_pass_in_float32(name: str) -> None:
    assert [result for result in compare(GOLDEN / f"{name}.safetensors", "cuda") if not result.ok] == []


def _frames(model: FlashVSR, *, offload_cache: bool = False) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    source = (torch.rand(3, 128, 256, generator=generator) * 2 - 1 for _ in range(33))
    with torch.inference_mode():
        stream = Stream(plain_stages(model, StreamSpec(128, 256), offload_cache))
        return torch.cat(list(stream.run(source)), dim=1).cpu()


def test_caches_in_host_memory_change_nothing() -> None:
    model = formula_model(TINY, "cuda", torch.bfloat16)
    assert torch.equal(_frames(model, offload_cache=True), _frames(model))


def test_the_gpu_gives_the_picture_of_the_cpu() -> None:
    difference = _frames(formula_model(TINY, "cuda")) - _frames(formula_model(TINY))
    assert difference.abs().max() < 1e-3
