"""The last convolution from its products, against the convolution itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from flashvsr.kernels import last_taps as plain
from flashvsr.kernels.gpu import last_taps as gpu
from flashvsr.kernels.last_taps import PRODUCTS, products_weight
from flashvsr.kernels.raster import Raster


@pytest.mark.parametrize("form", [plain, gpu], ids=["plain", "triton"])
@pytest.mark.parametrize("size", [(3, 5), (2, 130), (1, 1)])
def test_as_the_convolution(form: Any, device: torch.device, size: tuple[int, int]) -> None:
    torch.manual_seed(2)
    frames, channels = 2, 7
    x = torch.randn(frames, *size, channels, device=device)
    kernel, bias = torch.randn(3, channels, 3, 3, device=device), torch.randn(3, device=device)
    products = Raster.zeros(frames, *size, PRODUCTS, x)
    products.pictures().copy_(x @ products_weight(kernel))
    products.pictures()[..., 27:] = torch.nan  # nobody reads them
    whole = torch.full((3, frames + 1, *size), 7.0, device=device)
    form.add_last_taps(products, bias, frames, whole[:, 1:])
    expected = 2 * F.conv2d(x.permute(0, 3, 1, 2), kernel, bias, padding=1) - 1
    torch.testing.assert_close(whole[:, 1:], expected.transpose(0, 1), rtol=1e-4, atol=1e-4)
    assert (whole[:, 0] == 7).all()
    lines = torch.empty_like(whole[:, 1:, size[0] // 3 :])
    form.add_last_taps(products, bias, frames, lines, size[0] // 3)
    assert torch.equal(lines, whole[:, 1:, size[0] // 3 :]), "some lines of the picture"
