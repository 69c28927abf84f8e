"""Bicubic enlargement of frames to the model's picture, as Pillow's BICUBIC does it (a = -0.5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def enlarge(frame: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a frame with the bicubic filter of a = -0.5.

    Args:
        frame: (3, h, w) uint8, or uint16 for a source of more than 8 bits, on any device.
        size: (width, height) of the result.

    Returns:
        (3, H, W) float32 with values 0...255.
    """
    pictures = frame.float()[None]
    return enlarge_values(pictures / 257 if frame.dtype == torch.uint16 else pictures, size)[0]


def enlarge_values(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """The same for pictures (n, 3, h, w) float32 with values 0...255: (n, 3, H, W)."""
    width, height = size
    # Across, then down, clamped in between as Pillow goes about it, but not rounded there to 8 bits: sharpened, that
    # noise costs 0.3 dB on smooth film. antialias=True selects a = -0.5; for an enlargement it changes nothing else.
    for shape in ((pictures.shape[-2], width), (height, width)):
        pictures = F.interpolate(pictures, shape, mode="bicubic", antialias=True, align_corners=False).clamp_(0, 255)
    return pictures


def place(picture: Tensor, size: tuple[int, int], offset: tuple[int, int]) -> Tensor:
    """Cut out of, or extend by repeating its edges, a picture (..., H, W) to `size` = (width, height).

    `offset` = (x, y) is the corner of the new picture inside the old one; negative where it is extended.
    """
    (width, height), (x, y) = size, offset
    old_height, old_width = picture.shape[-2:]
    picture = picture[..., max(0, y) : y + height, max(0, x) : x + width]
    left, top = max(0, -x), max(0, -y)
    right, bottom = max(0, x + width - old_width), max(0, y + height - old_height)
    if left or top or right or bottom:
        picture = F.pad(picture, (left, right, top, bottom), mode="replicate")
    return picture


def to_unit(picture: Tensor) -> Tensor:
    """0...255 -> [-1, 1]."""
    return picture / 127.5 - 1


def to_bytes(frames: Tensor) -> Tensor:
    """[-1, 1] (3, n, H, W) -> uint8 (n, H, W, 3), contiguous."""
    return to_whole(frames, deep=False)


def to_whole(frames: Tensor, deep: bool) -> Tensor:
    """[-1, 1] (3, n, H, W) -> uint8 or, if `deep`, uint16 of the full range; (n, H, W, 3), contiguous."""
    top = 65535 if deep else 255
    scaled = (frames.float() + 1).mul_(top / 2).round_().clamp_(0, top).permute(1, 2, 3, 0).contiguous()
    return scaled.to(torch.uint16 if deep else torch.uint8)
