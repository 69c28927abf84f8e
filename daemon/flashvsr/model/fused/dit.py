"""The transformer's layers on fused kernels: between the matrix products, each token is read and written once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flashvsr.kernels.fp8_attention import Factors
from flashvsr.kernels.gpu.attention_kernels import Attend, AttendFp8
from flashvsr.kernels.gpu.residual_norm import residual_norm, residual_norm_rows
from flashvsr.kernels.gpu.rms_norm import rms_norm
from flashvsr.kernels.gpu.rotate_blocks import normalise_and_rotate, normalise_rotate_and_round
from flashvsr.kernels.gpu.select_blocks import select_blocks
from flashvsr.kernels.quantise_rows import Rows
from flashvsr.kernels.shapes import HEAD_DIM
from flashvsr.model.attention import Sparsity, WindowContext
from flashvsr.model.dit import EPS, Conditioning, Dit, Layer
from flashvsr.model.fused.products import EightBitFfn, EightBitLinear, Ffn, Linear, Product
from flashvsr.model.fused.rings import Rings


@dataclass(frozen=True)
class Norm:
    """A LayerNorm's factor and addend (dim,), float32."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class GatedNorm(Norm):
    """And the gate (dim,) of what follows it."""

    gate: Tensor


@dataclass(frozen=True)
class AttentionKernels:
    """What attends to kept blocks: in 16 bits, and in 8 where that is asked for; then the rings have 8 bits, too."""

    sixteen: Attend
    eight: AttendFp8 | None = None


class LayerWeights:
    """One layer as the kernels read it. What was joined or is no longer needed is dropped from the module."""

    qkv: Product
    o: Product
    cross_q: Product
    cross_o: Product
    ffn: Product

    def __init__(self, layer: Layer, conditioning: Conditioning, index: int, eight_bits: bool) -> None:
        attention, cross = layer.self_attn, layer.cross_attn
        shift1, scale1, gate1, shift2, scale2, gate2 = (
            layer.modulation.detach()[0].float() + conditioning.time_modulation.float()
        ).unbind()
        self.before_attention = GatedNorm(1 + scale1, shift1, gate1)
        self.before_cross = Norm(layer.norm3.weight.detach().float(), layer.norm3.bias.detach().float())
        self.before_ffn = GatedNorm(1 + scale2, shift2, gate2)
        parts = [Linear.of(part) for part in (attention.q, attention.k, attention.v)]
        joined = Linear(torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts]))
        self.qkv, self.o, self.cross_q, self.cross_o = (
            EightBitLinear.of(linear) if eight_bits else linear
            for linear in (joined, Linear.of(attention.o), Linear.of(cross.q), Linear.of(cross.o))
        )
        self.norm_q, self.norm_k = attention.norm_q.weight.detach(), attention.norm_k.weight.detach()
        self.factors = Factors.of(self.norm_q, self.norm_k)
        self.cross_norm = cross.norm_q.weight.detach()
        self.prompt_keys, self.prompt_values = (part[None] for part in conditioning.prompt[index])
        ffn = Linear.of(layer.ffn[0]), Linear.of(layer.ffn[2])
        self.ffn = EightBitFfn(*map(EightBitLinear.of, ffn)) if eight_bits else Ffn(*ffn)
        self.eight_bits = eight_bits
        drop(attention.q, attention.k, attention.v, cross.k, cross.v)
        if eight_bits:
            drop(layer.ffn, attention.o, cross.q, cross.o)


def drop(*modules: nn.Module) -> None:
    """Give back the memory of weights that nobody reads any more."""
    for module in modules:
        module.to("meta")


class DitWeights:
    """All layers and the head. `eight_bits`: all matrix products of the layers compute in 8 bits."""

    def __init__(self, dit: Dit, conditioning: Conditioning, eight_bits: bool = False) -> None:
        self.layers = [
            LayerWeights(cast(Layer, layer), conditioning, index, eight_bits) for index, layer in enumerate(dit.blocks)
        ]
        shift, scale = (dit.head.modulation.detach()[0].float() + conditioning.time.float()).unbind()
        self.before_head = Norm(1 + scale, shift)
        self.head = Linear.of(dit.head.head)
        drop(dit.text_embedding, dit.time_embedding, dit.time_projection)


FFN_TOKENS = 16384  # that go through the wide middle at once: the first window has three times the usual


def run_layer(
    layer: LayerWeights,
    x: Tensor,
    pending: tuple[Tensor, Tensor] | None,
    window: WindowContext,
    sparsity: Sparsity,
    attention: AttentionKernels,
    rings: Rings,
    place: int,
) -> tuple[Tensor, Tensor]:
    """A layer on the residual stream x (tokens, dim), changed in place.

    `pending`: what the layer before has left to be added, and its gate. `place`: the layer's ring among `rings`.
    Returns this layer's own pending.
    """
    before, between, after = layer.before_attention, layer.before_cross, layer.before_ffn
    norm = _add_and_norm_rows if layer.eight_bits else _add_and_norm
    y = layer.o(_attend(layer, layer.qkv(norm(x, pending, before)), window, sparsity, attention, rings, place))
    y = layer.cross_o(_attend_to_prompt(layer, layer.cross_q(norm(x, (y, before.gate), between))))
    parts = [layer.ffn(part) for part in norm(x, (y, None), after).split(FFN_TOKENS)]
    return torch.cat(parts) if len(parts) > 1 else parts[0], after.gate


def run_head(weights: DitWeights, x: Tensor, pending: tuple[Tensor, Tensor]) -> Tensor:
    """The residual stream and what the last layer left -> patches (tokens, 64)."""
    return weights.head(_add_and_norm(x, pending, weights.before_head))


def _add_and_norm(x: Tensor, pending: tuple[Tensor, Tensor | None] | None, norm: Norm) -> Tensor:
    update, gate = pending or (None, None)
    return residual_norm(x, update, gate, norm.weight, norm.bias, EPS, x.dtype)


def _add_and_norm_rows(x: Tensor, pending: tuple[Tensor, Tensor | None] | None, norm: Norm) -> Rows:
    update, gate = pending or (None, None)
    return residual_norm_rows(x, update, gate, norm.weight, norm.bias, EPS)


def _attend(
    layer: LayerWeights,
    qkv: Tensor,
    window: WindowContext,
    sparsity: Sparsity,
    attention: AttentionKernels,
    rings: Rings,
    place: int,
) -> Tensor:
    ring = rings.take(place)
    given = qkv, layer.norm_q, layer.norm_k, window.cos, window.sin, EPS, window.written, ring
    if attention.eight is None:
        q, means = normalise_and_rotate(*given)
    else:
        q, means = normalise_rotate_and_round(*given, layer.factors)
    rings.written(place)
    chosen = select_blocks(means, ring.means, window.attended, sparsity.allowed, sparsity.budget)
    q, k, v = (t.unflatten(-1, (-1, HEAD_DIM)) for t in (q, ring.keys, ring.values))
    if attention.eight is None:
        out = attention.sixteen(q, k, v, chosen)
    else:
        assert ring.value_scales is not None
        out = attention.eight(q, k, ring.value_blocks, ring.value_scales, layer.factors.scales, chosen, qkv.dtype)
    rings.done(place)
    return out.flatten(1)


def _attend_to_prompt(layer: LayerWeights, q: Tensor) -> Tensor:
    q = rms_norm(q, layer.cross_norm, EPS).unflatten(-1, (-1, HEAD_DIM)).transpose(0, 1)
    return F.scaled_dot_product_attention(q[None], layer.prompt_keys, layer.prompt_values)[0].transpose(0, 1).flatten(1)
