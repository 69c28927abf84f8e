"""Colour correction: the decoder may drift in colour; the low-quality frame says what it should be."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, tensor

VARIANCE_EPS = 1e-5
WAVELET_LEVELS = 5


def correct_color(frames: Tensor, condition: Tensor, method: str) -> Tensor:
    """Correct frames (3, F, H, W) by their condition of the same shape, both about [-1, 1].

    `method` is "adain", "wavelet" or "none". The result is float32 in [-1, 1]: the next step is 8-bit values, and
    bfloat16 could not hold all of those.
    """
    if method == "adain":
        frames = match_statistics(frames, condition)
    elif method == "wavelet":
        frames = replace_low_frequencies(frames, condition)
    elif method != "none":
        raise ValueError(f"unknown colour correction {method!r}: adain, wavelet or none")
    return frames.float().clamp(-1, 1)


def match_statistics(frames: Tensor, condition: Tensor) -> Tensor:
    """Give each frame and channel the mean and standard deviation of its condition, over the whole picture."""
    # Statistics of millions of pixels: float32 whatever the model runs in.
    variance, mean = _moments(frames)
    target_variance, target_mean = _moments(condition)
    gain = ((target_variance + VARIANCE_EPS) / (variance + VARIANCE_EPS)).sqrt()
    return (frames.float() - mean) * gain + target_mean


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.float()
    mean = x.mean(dim=(-2, -1), keepdim=True)
    return x.var(dim=(-2, -1), unbiased=False, keepdim=True), mean


def replace_low_frequencies(frames: Tensor, condition: Tensor) -> Tensor:
    """Keep the frames' details and take everything coarser from the condition (5-level a-trous wavelet)."""
    difference = condition.float() - frames.float()  # the transform is linear: one pass over the difference
    return frames.float() + _low_frequencies(difference)


def _low_frequencies(x: Tensor) -> Tensor:
    binomial = tensor([1.0, 2.0, 1.0], device=x.device) / 4
    shape = x.shape
    x = x.reshape(-1, 1, *shape[-2:])
    for level in range(WAVELET_LEVELS):
        d = 2**level
        x = F.conv2d(F.pad(x, (0, 0, d, d), mode="replicate"), binomial.view(1, 1, 3, 1), dilation=(d, 1))
        x = F.conv2d(F.pad(x, (d, d, 0, 0), mode="replicate"), binomial.view(1, 1, 1, 3), dilation=(1, d))
    return x.reshape(shape)
