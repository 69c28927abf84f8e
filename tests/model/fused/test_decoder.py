"""The fused decoder against the plain one, window after window."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from flashvsr.kernels.last_taps import add_last_taps
from flashvsr.kernels.raster_convolution import convolve, convolve_enlarged
from flashvsr.model.decoder import Decoder, DecoderParams
from flashvsr.model.fused import decoder as fused_decoder
from flashvsr.model.fused.decoder import DecoderWeights, FusedDecoder
from kits.fused import DTYPE, GPU, TOLERANCE, error

# The products of the last layer are kept in float16 whatever the rest is in.
LAST_ROUNDING = 5e-4


@pytest.fixture
def in_plain_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels in their plain form where there is no GPU: the interpreter is slow."""
    if not GPU:
        for form in (convolve, convolve_enlarged, add_last_taps):
            # A tile is the kernel's own way to cut the work.
            plain: Any = lambda *given, form=form, tile=None, **how: form(*given, **how)  # noqa: E731
            monkeypatch.setattr(fused_decoder, form.__name__, plain)


@pytest.mark.slow
def test_windows_with_memory(device: torch.device) -> None:
    compare(device, [(1, 1), (2, 8)], small_batches=False)


@pytest.mark.usefixtures("in_plain_pytorch")
def test_small_batches_with_memory(device: torch.device) -> None:
    compare(device, [(2, 5), (2, 8)], small_batches=True)


def compare(device: torch.device, windows: list[tuple[int, int]], small_batches: bool) -> None:
    """Windows of so many latents and frames, fused and plain."""
    torch.manual_seed(3)
    height, width = 8, 16
    plain = Decoder(DecoderParams((64, 64, 64, 64))).to(device, DTYPE).eval().requires_grad_(False)
    for weight in plain.parameters():
        if weight.ndim > 1:
            weight.mul_(2)  # frames that differ
    memory: dict[str, torch.Tensor] = {}
    given = []
    for latents, frames in windows:
        given.append(
            (
                torch.randn(16, latents, height // 8, width // 8, device=device).to(DTYPE),
                (torch.rand(3, frames, height, width, device=device) * 2 - 1).to(DTYPE),
            )
        )
    expected = [plain(*window, memory) for window in given]
    fused = FusedDecoder(DecoderWeights(plain), height, width, small_batches)
    for window, frames in zip(given, expected, strict=True):
        parts = list(fused(*window))
        assert max(part.shape[1] for part in parts) <= 8
        assert error(torch.cat(parts, dim=1), frames) <= TOLERANCE + LAST_ROUNDING


def test_the_weights_are_taken_over(device: torch.device) -> None:
    plain = Decoder(DecoderParams((64, 64, 64, 64))).to(device)
    DecoderWeights(plain)
    assert all(weight.is_meta for weight in plain.parameters()), "they would lie in memory twice"
