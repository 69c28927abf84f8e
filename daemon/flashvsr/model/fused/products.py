"""The matrix products of the transformer, in 16 bits or in 8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flashvsr.kernels.gpu.quantise_rows import quantise_rows


@dataclass(frozen=True)
class Linear:
    """Weight (out, in) and bias (out,)."""

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, module: nn.Module) -> Linear:
        """Those of a module."""
        linear = cast(nn.Linear, module)
        return cls(linear.weight.detach(), linear.bias.detach())

    def __call__(self, x: Tensor) -> Tensor:
        """(T, in) -> (T, out)."""
        return F.linear(x, self.weight, self.bias)


@dataclass(frozen=True)
class Ffn:
    """Linear, GELU (tanh), linear."""

    first: Linear
    second: Linear

    def __call__(self, x: Tensor) -> Tensor:
        """(T, dim) -> (T, dim)."""
        weight, bias = self.first.weight, self.first.bias
        if x.is_cuda:  # in the product's own epilogue
            hidden = torch._addmm_activation(bias, x, weight.t(), use_gelu=True)
        else:
            hidden = F.gelu(self.first(x), approximate="tanh")
        return self.second(hidden)


@dataclass(frozen=True)
class EightBitLinear:
    """The same in float8_e4m3fn, with a scale for each output channel (1, out) and, at run time, for each token."""

    weight: Tensor
    scale: Tensor
    bias: Tensor

    @classmethod
    def of(cls, linear: Linear) -> EightBitLinear:
        """Round the weights."""
        weight, scale = quantise_rows(linear.weight)
        return cls(weight, scale.t().contiguous(), linear.bias)

    def __call__(self, x: Tensor, gelu: bool = False) -> Tensor:
        """(T, in) -> (T, out); GELU (tanh) first if `gelu`."""
        values, scales = quantise_rows(x, gelu)
        return torch._scaled_mm(
            values,
            self.weight.t(),
            scale_a=scales,
            scale_b=self.scale,
            bias=self.bias,
            out_dtype=x.dtype,
            use_fast_accum=True,
        )


@dataclass(frozen=True)
class EightBitFfn:
    """Linear, GELU (tanh), linear."""

    first: EightBitLinear
    second: EightBitLinear

    def __call__(self, x: Tensor) -> Tensor:
        """(T, dim) -> (T, dim)."""
        return self.second(self.first(x), gelu=True)
