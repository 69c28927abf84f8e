"""PSNR, SSIM and steadiness against known values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from flashvsr.bench.metrics import C1, MOST_DB, Scores, psnr, ssim


def waves() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    y, x = torch.meshgrid(torch.arange(40.0).double(), torch.arange(56.0).double(), indexing="ij")
    truth = 128 + 90 * torch.sin(x * 0.37) * torch.cos(y * 0.23)
    return truth, truth + 12 * torch.sin(x * 1.9 + y * 2.3), 0.8 * truth + 20


def test_ssim_is_that_of_scikit_image() -> None:
    # structural_similarity(..., data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    # of scikit-image 0.26.0.
    truth, ripples, flatter = waves()
    expected = [0.9428877765406344, 0.9750712163109195]
    assert ssim(torch.stack([ripples, flatter]), truth) == pytest.approx(expected, abs=1e-9)


def test_ssim_of_flat_pictures_is_that_of_their_means() -> None:
    bright, dark = torch.full((20, 20), 200.0), torch.full((20, 20), 100.0)
    expected = (2 * 200 * 100 + C1) / (200**2 + 100**2 + C1)
    assert ssim(bright[None], dark) == pytest.approx([expected])


def test_equal_pictures_are_alike() -> None:
    truth, _, _ = waves()
    assert ssim(truth[None], truth) == pytest.approx([1.0])
    assert psnr(0.0) == MOST_DB


def test_psnr_of_one_level_is_48_db() -> None:
    assert psnr([1.0, 255.0**2]) == pytest.approx([20 * math.log10(255), 0])


def test_a_summary_takes_means_of_db_and_of_errors() -> None:
    scores = Scores(error=np.array([1.0, 100.0]), change=np.array([4.0]), ssim=np.array([0.9, 0.7]))
    summary = scores.summary()
    assert summary["psnr_y"] == pytest.approx(20 * math.log10(255) - 10)
    assert summary["psnr_y_pooled"] == pytest.approx(20 * math.log10(255) - 10 * math.log10(50.5))
    assert summary["ssim"] == pytest.approx(0.8)
    assert summary["steadiness"] == summary["steadiness_pooled"] == pytest.approx(20 * math.log10(255 / 2))
