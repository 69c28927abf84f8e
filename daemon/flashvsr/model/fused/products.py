"""The matrix products of the transformer, in 16 bits or in 8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flashvsr.kernels.gpu.int8_product import int8_product
from flashvsr.kernels.gpu.quantise_rows import quantise_rows
from flashvsr.kernels.quantise_rows import Rows


class Product(Protocol):
    """What a layer computes of its tokens, in 16 bits or in 8."""

    def __call__(self, x: Any) -> Tensor:
        """(T, in), or `Rows` where it computes in 8 bits -> (T, out)."""


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
    """The same with 8-bit integers: one scale for each output channel and, at run time, for each token."""

    weight: Rows
    bias: Tensor

    @classmethod
    def of(cls, linear: Linear) -> EightBitLinear:
        """Round the weights."""
        return cls(quantise_rows(linear.weight), linear.bias)

    def __call__(self, x: Tensor | Rows, gelu: bool = False) -> Tensor:
        """(T, in), rounded already or not -> (T, out); GELU (tanh) first if `gelu`."""
        rows = x if isinstance(x, Rows) else quantise_rows(x, gelu)
        return int8_product(rows, self.weight, self.bias)


@dataclass(frozen=True)
class EightBitFfn:
    """Linear, GELU (tanh), linear."""

    first: EightBitLinear
    second: EightBitLinear

    def __call__(self, x: Tensor | Rows) -> Tensor:
        """(T, dim) -> (T, dim)."""
        return self.second(self.first(x), gelu=True)
