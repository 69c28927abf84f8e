"""The fused LQ projection against the plain one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from flashvsr.kernels.channel_norm import norm_into_blocks, norm_into_raster
from flashvsr.kernels.gpu.raster_convolution import Tile, convolve_strided
from flashvsr.kernels.raster import Raster
from flashvsr.model.fused import lq_projection
from flashvsr.model.fused.lq_projection import FusedLqProjection, LqWeights
from flashvsr.model.lq_projection import LqProjection, LqProjectionParams
from kits.fused import DTYPE, GPU, TOLERANCE, error


@pytest.fixture
def in_large_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU, norms in plain PyTorch and deep tiles: the interpreter's time goes by steps."""
    if not GPU:
        monkeypatch.setattr(lq_projection, "norm_into_raster", norm_into_raster)
        monkeypatch.setattr(lq_projection, "norm_into_blocks", norm_into_blocks)
        convolve: Any = convolve_strided

        def in_deep_tiles(x: Raster, *given: Any, tile: Tile, **how: Any) -> None:
            convolve(x, *given, tile=replace(tile, depth=256) if x.channels % 256 == 0 else tile, **how)

        monkeypatch.setattr(lq_projection, "convolve_strided", in_deep_tiles)


@pytest.mark.slow
@pytest.mark.usefixtures("in_large_pieces")
def test_windows_with_memory(device: torch.device) -> None:
    torch.manual_seed(4)
    plain = LqProjection(LqProjectionParams((64, 64), 128, outputs=2)).to(device, DTYPE).eval().requires_grad_(False)
    frames = (torch.rand(3, 17, 128, 128, device=device) * 2 - 1).to(DTYPE)
    first, second = frames[:, 1:9], frames[:, 9:]
    memory = plain.start(frames[:, :1])
    expected = [plain(first, memory), plain(second, memory)]
    fused = FusedLqProjection(LqWeights(plain), 8, 8)
    fused.start(frames[:, :1])
    for found, tokens in zip([fused(first), fused(second)], expected, strict=True):
        assert [t.shape for t in found] == [t.shape for t in tokens]
        assert max(error(a, b) for a, b in zip(found, tokens, strict=True)) <= TOLERANCE
