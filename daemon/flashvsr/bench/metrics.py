"""How far pictures are from what they should be: PSNR and SSIM of luma, and the same errors' change over time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

Values = npt.NDArray[np.float64]

PEAK = 255.0
MOST_DB = 99.0  # what equal pictures count as
WINDOW, DEVIATION = 11, 1.5  # pixels, of the Gaussian that SSIM looks through
C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2


def psnr(error: npt.ArrayLike) -> Values:
    """PSNR in dB of mean squared errors of 8-bit values; equal pictures count as 99 dB, and nothing as more."""
    return np.asarray(10 * np.log10(PEAK**2 / np.maximum(error, PEAK**2 / 10 ** (MOST_DB / 10))))


def ssim(pictures: Tensor, truth: Tensor) -> list[float]:
    """Structural similarity of lumas (n, H, W) to one (H, W), in 0...255 and of at least 11x11 pixels.

    As Wang et al. 2004 define it: an 11x11 Gaussian window of deviation 1.5, its population moments, the mean over
    all places where the window lies within the picture.
    """
    x, y = pictures.double(), truth.double()
    mean_x, xx, xy = _windowed(x), _windowed(x * x), _windowed(x * y)
    mean_y, yy = _windowed(y), _windowed(y * y)
    covariance = xy - mean_x * mean_y
    variances = xx - mean_x**2 + yy - mean_y**2
    likeness = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    likeness /= (mean_x**2 + mean_y**2 + C1) * (variances + C2)
    return [float(value) for value in likeness.mean(dim=(-2, -1))]


def _windowed(planes: Tensor) -> Tensor:
    """Weighted means around each place: (..., H, W) -> (..., H - 10, W - 10)."""
    taps = [math.exp(-0.5 * ((i - WINDOW // 2) / DEVIATION) ** 2) for i in range(WINDOW)]
    for dim in (-1, -2):
        # Shifted sums: on the CPU several times faster than a convolution of one channel in float64.
        views = [planes.narrow(dim, i, planes.shape[dim] - WINDOW + 1) for i in range(WINDOW)]
        planes = views[0] * (taps[0] / sum(taps))
        for tap, view in zip(taps[1:], views[1:], strict=True):
            planes.add_(view, alpha=tap / sum(taps))
    return planes


@dataclass(frozen=True)
class Scores:
    """Frame by frame, how far one way of enlarging is from the source.

    Attributes:
        error: mean squared error of luma, per frame.
        change: mean squared error of the difference to the frame before, per frame from the second one on.
        ssim: structural similarity of luma, per frame.
    """

    error: Values
    change: Values
    ssim: Values

    def summary(self) -> dict[str, float]:
        """In dB but for SSIM: means over frames, and from the errors of all frames together ("pooled")."""
        return {
            "psnr_y": float(psnr(self.error).mean()),
            "psnr_y_pooled": float(psnr(self.error.mean())),
            "ssim": float(self.ssim.mean()),
            "steadiness": float(psnr(self.change).mean()),
            "steadiness_pooled": float(psnr(self.change.mean())),
        }
