"""Rotary position embedding over (latent frame, row, column), tokens in block order."""

from __future__ import annotations

import torch
from torch import Tensor

from flashvsr.model.blocks import to_blocks

AXIS_CHANNELS = (44, 42, 42)  # real channels for frame, row, column; adjacent ones form a complex pair
BASE = 10000.0


def axis_angles(positions: Tensor, channels: int) -> Tensor:
    """Angles of one axis in float64: positions (P,) -> (P, channels/2)."""
    exponents = torch.arange(0, channels, 2, dtype=torch.float64, device=positions.device) / channels
    return positions.double()[:, None] * BASE**-exponents


def rope_table(frames: tuple[int, int], rows: int, columns: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines for a window's tokens.

    Args:
        frames: half-open range of absolute latent frame positions. They go on without limit, so the angles
            are computed from the numbers themselves and not read from a table.
        rows: token rows of the picture.
        columns: token columns of the picture.
        device: where the tables are made.

    Returns:
        (cos, sin), each (tokens, 64) float32 in block order.
    """
    f, h, w = frames[1] - frames[0], rows, columns
    time = axis_angles(torch.arange(frames[0], frames[1], device=device), AXIS_CHANNELS[0])
    row = axis_angles(torch.arange(h, device=device), AXIS_CHANNELS[1])
    column = axis_angles(torch.arange(w, device=device), AXIS_CHANNELS[2])
    angles = torch.cat(
        [
            time[:, None, None].expand(f, h, w, -1),
            row[None, :, None].expand(f, h, w, -1),
            column[None, None, :].expand(f, h, w, -1),
        ],
        dim=-1,
    )  # (f, h, w, 64)
    angles = to_blocks(angles)
    return angles.cos().float(), angles.sin().float()


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate x (tokens, heads, 128) by the table (tokens, 64); float32 inside, dtype of x outside."""
    real, imaginary = x.float().unflatten(-1, (-1, 2)).unbind(-1)  # (tokens, heads, 64) each
    cos, sin = cos[:, None], sin[:, None]
    rotated = torch.stack([real * cos - imaginary * sin, real * sin + imaginary * cos], dim=-1)
    return rotated.flatten(-2).to(x.dtype)
