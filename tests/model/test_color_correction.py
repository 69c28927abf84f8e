"""Colour correction against its definition in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.model.color_correction import correct_color


def small(*shape: int, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)) * scale + shift


def test_adain_takes_the_population_variance() -> None:
    # Few pixels, so that n and n - 1 differ; small enough for the clamp not to act.
    frames, condition = small(3, 2, 4, 5, scale=0.2), small(3, 2, 4, 5, scale=0.1, shift=0.05).flip(-1)
    corrected = correct_color(frames, condition, "adain").double().numpy()
    assert np.abs(corrected).max() < 1
    for channel in range(3):
        for t in range(2):
            x, y = (v[channel, t].double().numpy() for v in (frames, condition))
            expected = (x - x.mean()) / np.sqrt(x.var() + 1e-5) * np.sqrt(y.var() + 1e-5) + y.mean()
            np.testing.assert_allclose(corrected[channel, t], expected, atol=1e-6)


def test_the_unbiased_variance_would_show() -> None:
    """Beside the epsilon the two kinds of variance do not cancel out."""
    frames, condition = small(1, 1, 2, 2, scale=0.003), small(1, 1, 2, 2, scale=0.1).flip(-1)
    ours = correct_color(frames, condition, "adain")
    x, y = frames.double(), condition.double()
    unbiased = (x - x.mean()) / (x.var() + 1e-5).sqrt() * (y.var() + 1e-5).sqrt() + y.mean()
    assert (ours.double() - unbiased).abs().max() > 1e-3


def low_frequencies(x: Tensor) -> Tensor:
    """Five levels of the 3x3 binomial kernel, dilated, over replicated edges."""
    line = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4
    kernel = (line[:, None] * line).view(1, 1, 3, 3)
    x = x.double().flatten(0, 1)[:, None]
    for level in range(5):
        d = 2**level
        x = F.conv2d(F.pad(x, (d, d, d, d), mode="replicate"), kernel, dilation=d)
    return x[:, 0]


@pytest.mark.parametrize("size", [(64, 96), (33, 41), (17, 5)])
def test_wavelet_takes_high_frequencies_here_and_low_ones_there(size: tuple[int, int]) -> None:
    frames, condition = small(3, 2, *size, scale=0.2), small(3, 2, *size, scale=0.2).flip(-2)
    high = frames.double().flatten(0, 1) - low_frequencies(frames)
    expected = (high + low_frequencies(condition)).clamp(-1, 1).view_as(frames)
    ours = correct_color(frames, condition, "wavelet")
    torch.testing.assert_close(ours.double(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("method", ["adain", "wavelet", "none"])
def test_the_result_is_clamped(method: str) -> None:
    frames = small(3, 1, 16, 16, scale=3.0)
    corrected = correct_color(frames, frames, method)
    assert corrected.min() == -1
    assert corrected.max() == 1


def test_none_changes_nothing_else() -> None:
    frames, condition = small(3, 2, 8, 8, scale=0.1), small(3, 2, 8, 8)
    assert torch.equal(correct_color(frames, condition, "none"), frames)


def test_a_flat_frame_takes_the_mean() -> None:
    corrected = correct_color(torch.full((3, 1, 8, 8), 0.5), torch.full((3, 1, 8, 8), -0.25), "adain")
    torch.testing.assert_close(corrected, torch.full((3, 1, 8, 8), -0.25))


def test_statistics_are_exact_in_bfloat16() -> None:
    frames, condition = small(3, 1, 256, 256, scale=0.2), small(3, 1, 256, 256, scale=0.1, shift=0.3)
    corrected = correct_color(frames.bfloat16(), condition.bfloat16(), "adain")
    assert corrected.dtype == torch.float32
    torch.testing.assert_close(corrected.float().mean((-2, -1)), condition.mean((-2, -1)), atol=1e-3, rtol=0)


def test_an_unknown_method_is_an_error() -> None:
    with pytest.raises(ValueError, match="adain, wavelet or none"):
        correct_color(torch.zeros(3, 1, 8, 8), torch.zeros(3, 1, 8, 8), "Adain")
