"""The matrix product of rows of 8-bit integers."""

from __future__ import annotations

from torch import Tensor

from flashvsr.kernels.quantise_rows import Rows


def int8_product(x: Rows, weight: Rows, bias: Tensor) -> Tensor:
    """Multiply, scale and add the bias; the sums are exact, and the result is rounded once.

    Args:
        x: (T, in) rows.
        weight: (out, in) rows, one for each output channel.
        bias: (out,), whose format the result has.

    Returns:
        (T, out).
    """
    sums = x.values.double() @ weight.values.double().t()  # of integers: exact
    return (sums * x.scales.double()[:, None] * weight.scales.double() + bias.double()).to(bias.dtype)
