"""Both forms of norm and SiLU on the way into a raster or into block order, against the LQ projection's own steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.kernels import channel_norm as plain
from flashvsr.kernels.gpu import channel_norm as gpu
from flashvsr.kernels.raster import Raster
from flashvsr.model.blocks import to_blocks

FRAMES, CHANNELS = 2, 48
FORMS = pytest.mark.parametrize("form", [plain, gpu], ids=["plain", "triton"])


def rows(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Rows in raster order with NaN between the lines, gamma, and what the norm makes of the pixels (f, h, w, C)."""
    torch.manual_seed(1)
    pitch = width + 2
    x = torch.full((FRAMES, 3 * pitch * height, CHANNELS), torch.nan, device=device)
    pixels = torch.randn(FRAMES, height, width, CHANNELS, device=device)
    pixels[0, 0, 0] = 0  # a length that nothing can be divided by
    for y in range(height):
        x[:, y * pitch : y * pitch + width] = pixels[:, y]
    gamma = torch.rand(CHANNELS, device=device) + 0.5
    return x, gamma, F.silu(F.normalize(pixels, dim=-1) * CHANNELS**0.5 * gamma)


@FORMS
@pytest.mark.parametrize(("height", "width"), [(3, 5), (1, 1)])
def test_into_a_raster(form: Any, device: torch.device, height: int, width: int) -> None:
    x, gamma, expected = rows(height, width, device)
    out = Raster.zeros(1 + FRAMES, height, width, CHANNELS, x, edges=2)
    out.rows.fill_(7)
    form.norm_into_raster(x, gamma, out, 1)
    bordered = F.pad(expected.permute(0, 3, 1, 2), (1, 1, 1, 1), mode="replicate").permute(0, 2, 3, 1)
    torch.testing.assert_close(out.padded()[1:], bordered, rtol=1e-5, atol=1e-6)
    assert (out.padded()[0] == 7).all()


@pytest.mark.slow
@FORMS
def test_into_block_order(form: Any, device: torch.device) -> None:
    x, gamma, expected = rows(16, 8, device)
    out = form.norm_into_blocks(x, gamma, 10, 16, 8)
    torch.testing.assert_close(out, to_blocks(expected), rtol=1e-5, atol=1e-6)
