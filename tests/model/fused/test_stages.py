"""The fused transformer in a stream against the plain one: keys and values here or in host memory, layers in ranges."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from flashvsr.kernels.block_sparse_attention import block_sparse_attention
from flashvsr.kernels.fp8_attention import fp8_attention
from flashvsr.kernels.int8_product import int8_product
from flashvsr.kernels.quantise_rows import quantise_rows
from flashvsr.kernels.residual_norm import residual_norm, residual_norm_rows
from flashvsr.kernels.rms_norm import rms_norm
from flashvsr.kernels.rotate_blocks import normalise_and_rotate, normalise_rotate_and_round
from flashvsr.kernels.select_blocks import select_blocks
from flashvsr.model.color_correction import correct_color
from flashvsr.model.fused import dit, network, products
from flashvsr.model.fused.network import FP8, INT8, FusedModel
from flashvsr.model.fused.stages import fused_stages
from flashvsr.model.network import FlashVSR
from flashvsr.model.stages import Stages, plain_stages
from flashvsr.model.stream import Stream, StreamOptions, StreamSpec, draw_noise
from flashvsr.model.windows import window
from kits.fused import GPU, TOLERANCE, error, small_model

DIM, HEIGHT, WIDTH, WINDOWS = 256, 128, 256, 3  # enough for the ring to come round
# Budgets and reach that leave out some of the pairs of two blocks and up to four groups.
OPTIONS = StreamOptions(sparse_ratio=2.0 * HEIGHT * WIDTH / (768 * 1280) * 0.7, seed=5)


def tokens(index: int, count: int, dim: int, like: Tensor) -> list[Tensor]:
    """What the LQ projection might have made for two layers; it has tests of its own."""
    generator = torch.Generator().manual_seed(index)
    return [torch.randn(count, dim, generator=generator).to(like) for _ in range(2)]


class MadeUp:
    """A projection whose tokens are made up."""

    def __init__(self, model: FlashVSR) -> None:
        self.device, self._dtype = model.device, model.dtype
        self._windows = 0

    def start(self, frame: Tensor) -> None:
        pass

    def __call__(self, frames: Tensor) -> list[Tensor]:
        index, self._windows = self._windows, self._windows + 1
        like = torch.empty(0, device=self.device, dtype=self._dtype)
        return tokens(index, window(index).latent_count * HEIGHT * WIDTH // 256, DIM, like)


def latents(stages: Stages, model: FlashVSR) -> list[Tensor]:
    stream = Stream(replace(stages, project=MadeUp(model)))
    steps = [window(index) for index in range(WINDOWS)]
    nothing = torch.empty(3, 1)
    return [stream.denoise(step, nothing, draw_noise(5, step.index, stages.spec.noise_shape(step))) for step in steps]


@pytest.fixture
def rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU, norms in plain PyTorch: the interpreter's time goes by programs, and theirs take a row each."""
    if not GPU:
        monkeypatch.setattr(dit, "residual_norm", residual_norm)
        monkeypatch.setattr(dit, "rms_norm", rms_norm)


@pytest.mark.slow
@torch.inference_mode()
@pytest.mark.usefixtures("rows_at_once")
@pytest.mark.parametrize(
    ("offload", "origin"),
    # Rings on the device are the same without the copies, which test_rings shows; the interpreter is slow.
    [(True, 9), pytest.param(False, 0, marks=pytest.mark.skipif(not GPU, reason="once is enough without a GPU"))],
)
def test_latents_of_windows(device: torch.device, offload: bool, origin: int) -> None:
    spec = StreamSpec(HEIGHT, WIDTH, OPTIONS, origin)
    model = small_model(device)
    plain = latents(plain_stages(model, spec), model)
    fused = FusedModel(small_model(device))
    found = latents(fused_stages(fused, spec, offload_cache=offload), fused.model)
    assert [error(a, b) for a, b in zip(found, plain, strict=True) if error(a, b) > TOLERANCE] == []


@pytest.fixture
def in_plain_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels in their plain form where there is no GPU: what is looked at here is how the layers are joined."""
    if not GPU:
        for form in (residual_norm, rms_norm, normalise_and_rotate, select_blocks):
            monkeypatch.setattr(dit, form.__name__, form)
        monkeypatch.setattr(network, "kernel_for", lambda *_: block_sparse_attention)


@pytest.mark.slow
@torch.inference_mode()
@pytest.mark.usefixtures("in_plain_pytorch")
@pytest.mark.parametrize("offload", [False, True])
def test_layers_in_several_ranges_make_the_same_latents(device: torch.device, offload: bool) -> None:
    """To the bit: what a range has left to add passes to the next one as it is."""
    fused, spec = FusedModel(small_model(device, layers=4)), StreamSpec(HEIGHT, WIDTH, OPTIONS)
    whole = latents(fused_stages(fused, spec, offload_cache=offload), fused.model)
    for ranges in ([range(1), range(1, 4)], [range(3), range(3, 4)], [range(2), range(2, 3), range(3, 4)]):
        found = latents(fused_stages(fused, spec, offload_cache=offload, ranges=ranges), fused.model)
        assert all(torch.equal(a, b) for a, b in zip(found, whole, strict=True))


@pytest.mark.slow
@torch.inference_mode()
@pytest.mark.usefixtures("in_plain_pytorch")
@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize("precision", [INT8, FP8])
def test_in_eight_bits_the_latents_are_near(
    device: torch.device, precision: str, offload: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part is a little off, as many bits as it has; none is left out, and none is wrong."""
    if not GPU:
        for form in (residual_norm_rows, normalise_rotate_and_round):
            monkeypatch.setattr(dit, form.__name__, form)
        monkeypatch.setattr(products, "quantise_rows", quantise_rows)
        monkeypatch.setattr(products, "int8_product", int8_product)
        monkeypatch.setattr(network, "fp8_kernel_for", lambda *_: fp8_attention)
    spec = StreamSpec(HEIGHT, WIDTH, OPTIONS)
    model = small_model(device)
    plain = latents(plain_stages(model, spec), model)
    fused = FusedModel(small_model(device), precision=precision)
    found = latents(fused_stages(fused, spec, offload_cache=offload), fused.model)
    errors = [error(a, b) for a, b in zip(found, plain, strict=True)]
    assert all(1e-4 < one < 3e-2 for one in errors), errors
    assert (fused.precision, fused.attend.eight is not None) == (precision, precision == FP8)


def test_where_there_is_no_kernel_for_attention_in_eight_bits_the_products_have_them(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "fp8_kernel_for", lambda *_: None)
    monkeypatch.setattr(products, "quantise_rows", quantise_rows)
    assert FusedModel(small_model(device), precision=FP8).precision == INT8


@pytest.mark.parametrize("method", ["adain", "wavelet", "none"])
def test_colours_are_corrected_as_the_preset_says(device: torch.device, method: str) -> None:
    fused = FusedModel(small_model(device))
    colour = fused_stages(fused, StreamSpec(HEIGHT, WIDTH, StreamOptions(color_fix=method))).colour
    generator = torch.Generator().manual_seed(2)
    frames, condition = (torch.randn(3, 2, 32, 48, generator=generator).to(device) / 4 for _ in range(2))
    assert torch.equal(colour(frames, condition), correct_color(frames, condition, method))
