"""The filters against Pillow's, and what is said about upscalers that are not there."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from flashvsr.bench.enlargers import against, bicubic, lanczos
from flashvsr.errors import FlashVSRError


def smooth(height: int = 40, width: int = 56) -> Tensor:
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    planes = [128 + 100 * torch.sin(x * a) * torch.cos(y * b) for a, b in ((0.4, 0.3), (0.9, 0.2), (0.1, 1.1))]
    return torch.stack(planes).round().to(torch.uint8)


def by_pillow(low: Tensor, factor: int, resampling: Image.Resampling) -> Tensor:
    height, width = low.shape[1:]
    image = Image.fromarray(low.permute(1, 2, 0).contiguous().numpy())
    larger = image.resize((width * factor, height * factor), resampling)
    return torch.from_numpy(np.array(larger)).permute(2, 0, 1)


@pytest.mark.parametrize("factor", [2, 4])
def test_lanczos_is_pillows_but_for_rounding(factor: int) -> None:
    low = smooth()
    expected = by_pillow(low, factor, Image.Resampling.LANCZOS).float()
    inner = slice(8, -8)  # at edges one repeats pixels, the other weighs fewer
    difference = (lanczos(low, factor).float() - expected)[:, inner, inner].abs()
    assert difference.max() <= 3
    assert difference.mean() < 0.5
    others = (bicubic(low, factor).float() - expected)[:, inner, inner].abs()
    assert others.mean() > 2 * difference.mean()  # they are not the same filter


def test_a_missing_package_is_said_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyanime4k", None)
    with pytest.raises(FlashVSRError, match="pip install pyanime4k"):
        against("pyanime4k")


def test_an_unknown_upscaler_is_refused() -> None:
    with pytest.raises(FlashVSRError, match="only pyanime4k"):
        against("waifu2x")


@pytest.mark.skipif(find_spec("pyanime4k") is None, reason="pyanime4k is not installed")
def test_pyanime4k_enlarges_and_refuses_unknown_models() -> None:
    name, enlarger = against("pyanime4k")
    assert name.startswith("pyanime4k ")
    low = smooth()
    larger = enlarger(low, 2)
    assert larger.shape == (3, 80, 112)
    assert (larger.float() - bicubic(low, 2).float()).abs().mean() < 20
    with pytest.raises(FlashVSRError, match="no such model"):
        against("pyanime4k:nothing")
