"""Luma as BT.601 weighs it: what is measured, and what the nano model is trained for; on values of any scale."""

from __future__ import annotations

from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # shares of red, green, blue


def luma_of(pixels: Tensor) -> Tensor:
    """(3, ...) -> (...)."""
    red, green, blue = LUMA
    return red * pixels[0] + green * pixels[1] + blue * pixels[2]
