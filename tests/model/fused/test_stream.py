"""The fused transformer in a stream against the plain one, with keys and values on the device and in host memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from flashvsr.kernels.residual_norm import residual_norm
from flashvsr.kernels.rms_norm import rms_norm
from flashvsr.model.fused import dit
from flashvsr.model.fused.stream import FusedModel, FusedStream, unsuitable
from flashvsr.model.stream import Stream, StreamOptions, draw_noise
from flashvsr.model.windows import window
from kits.fused import GPU, TOLERANCE, error, small_model

HEIGHT, WIDTH, WINDOWS = 128, 256, 3  # enough for the ring to come round
# Budgets and reach that leave out some of the pairs of two blocks and up to four groups.
OPTIONS = StreamOptions(sparse_ratio=2.0 * HEIGHT * WIDTH / (768 * 1280) * 0.7, seed=5)


def tokens(index: int, count: int, dim: int, like: Tensor) -> list[Tensor]:
    """What the LQ projection might have made; it has tests of its own."""
    return [torch.randn(count, dim, generator=torch.Generator().manual_seed(index)).to(like)]


def latents(stream: Stream, dim: int) -> list[Tensor]:
    found = []
    like = torch.empty(0, device=stream.model.device, dtype=stream.model.dtype)
    for index in range(WINDOWS):
        step = window(index)
        stream.project = lambda step, _lq: tokens(  # type: ignore[method-assign]
            step.index, step.latent_count * stream.rows * stream.columns, dim, like
        )
        found.append(stream.denoise(step, like, draw_noise(5, index, stream.noise_shape(step))))
    return found


@pytest.fixture
def rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU, norms in plain PyTorch: the interpreter's time goes by programs, and theirs take a row each."""
    if not GPU:
        monkeypatch.setattr(dit, "residual_norm", residual_norm)
        monkeypatch.setattr(dit, "rms_norm", rms_norm)


@torch.inference_mode()
@pytest.mark.usefixtures("rows_at_once")
@pytest.mark.parametrize(
    ("offload", "origin"),
    # Rings on the device are the same without the copies, which test_rings shows; the interpreter is slow.
    [(True, 9), pytest.param(False, 0, marks=pytest.mark.skipif(not GPU, reason="once is enough without a GPU"))],
)
def test_latents_of_windows(device: torch.device, offload: bool, origin: int) -> None:
    plain = latents(Stream(small_model(device), HEIGHT, WIDTH, OPTIONS, origin), 256)
    fused = FusedModel(small_model(device))
    found = latents(FusedStream(fused, HEIGHT, WIDTH, OPTIONS, origin, offload_cache=offload), 256)
    assert [error(a, b) for a, b in zip(found, plain, strict=True) if error(a, b) > TOLERANCE] == []


def test_models_that_the_kernels_cannot_take() -> None:
    model = small_model(torch.device("cpu"))
    assert unsuitable(model.to(torch.bfloat16)) is None
    assert "float32" in str(unsuitable(model.float()))
    model.half().decoder.params = type(model.decoder.params)((64, 96, 64, 64))
    assert "64, 96, 64, 64 channels" in str(unsuitable(model))
