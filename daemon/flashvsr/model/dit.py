"""The diffusion transformer (Wan2.1 layout), one denoising step at timestep 1000, tokens in block order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from flashvsr.kernels.shapes import HEAD_DIM
from flashvsr.model.attention import CrossAttention, KeyValueRing, SelfAttention, Sparsity, WindowContext
from flashvsr.model.blocks import from_blocks, to_blocks
from flashvsr.model.cells import LATENT_CELL, TOKEN_CELL

TIMESTEP = 1000
LATENT_CHANNELS = 16
PATCH = TOKEN_CELL // LATENT_CELL  # latent pixels per token, along rows and columns
EPS = 1e-6


@dataclass(frozen=True)
class DitParams:
    """Widths of the transformer; 1.3B has dim 1536, ffn 8960, 30 layers, text_dim 4096."""

    dim: int
    ffn: int
    layers: int
    text_dim: int
    freq_dim: int = 256

    @property
    def heads(self) -> int:
        """Attention heads of 128 channels."""
        return self.dim // HEAD_DIM


@dataclass(frozen=True)
class Conditioning:
    """What depends on the timestep and the prompt alone: computed once, used by every window.

    Attributes:
        time: (1, dim) time embedding, for the head.
        time_modulation: (6, dim), shared by the layers.
        prompt: per layer, keys and values of the prompt.
    """

    time: Tensor
    time_modulation: Tensor
    prompt: Sequence[tuple[Tensor, Tensor]]


class Layer(nn.Module):
    """Self-attention, cross-attention and feed-forward, the first and last gated by the timestep."""

    def __init__(self, dim: int, ffn: int) -> None:
        super().__init__()
        self.modulation = nn.Parameter(torch.zeros(1, 6, dim))
        self.self_attn = SelfAttention(dim, EPS)
        self.cross_attn = CrossAttention(dim, EPS)
        self.norm3 = nn.LayerNorm(dim, eps=EPS)
        self.ffn = nn.Sequential(nn.Linear(dim, ffn), nn.GELU(approximate="tanh"), nn.Linear(ffn, dim))

    def forward(
        self,
        x: Tensor,
        time_modulation: Tensor,
        prompt: tuple[Tensor, Tensor],
        window: WindowContext,
        sparsity: Sparsity,
        ring: KeyValueRing,
    ) -> Tensor:
        """Transform the tokens (tokens, dim) of one window."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation[0] + time_modulation
        y = _modulate(x, shift1, scale1)
        x = x + gate1 * self.self_attn(y, window, sparsity, ring)
        x = x + self.cross_attn(self.norm3(x), prompt)
        return x + gate2 * self.ffn(_modulate(x, shift2, scale2))


class PatchHead(nn.Module):
    """Tokens to latent patches."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.modulation = nn.Parameter(torch.zeros(1, 2, dim))
        self.head = nn.Linear(dim, LATENT_CHANNELS * PATCH * PATCH)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(tokens, dim) and the time embedding (1, dim) -> (tokens, 64)."""
        shift, scale = self.modulation[0] + time
        return self.head(_modulate(x, shift, scale))


class Dit(nn.Module):
    """The transformer. Parameter names are those of the published weights."""

    def __init__(self, params: DitParams) -> None:
        super().__init__()
        dim = params.dim
        self.params = params
        # A convolution by its weight's shape; applied as a linear map of patches, since stride = kernel.
        self.patch_embedding = nn.Conv3d(LATENT_CHANNELS, dim, (1, PATCH, PATCH), (1, PATCH, PATCH))
        self.text_embedding = nn.Sequential(
            nn.Linear(params.text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embedding = nn.Sequential(nn.Linear(params.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.blocks = nn.ModuleList(Layer(dim, params.ffn) for _ in range(params.layers))
        self.head = PatchHead(dim)

    def condition(self, prompt: Tensor) -> Conditioning:
        """Compute the constants for a prompt embedding (1, ctx, text_dim)."""
        weight = self.patch_embedding.weight
        time = self.time_embedding(timestep_embedding(TIMESTEP, self.params.freq_dim).to(weight)[None])
        context = self.text_embedding(prompt[0].to(weight))
        return Conditioning(
            time=time,
            time_modulation=self.time_projection(time).view(6, self.params.dim),
            prompt=[cast(Layer, layer).cross_attn.keys_values(context) for layer in self.blocks],
        )

    def patchify(self, latents: Tensor) -> Tensor:
        """(16, f, H/8, W/8) -> tokens (tokens, dim) in block order."""
        patches = rearrange(latents, "c f (h y) (w x) -> f h w (c y x)", y=PATCH, x=PATCH)
        return F.linear(to_blocks(patches), self.patch_embedding.weight.flatten(1), self.patch_embedding.bias)

    def unpatchify(self, x: Tensor, conditioning: Conditioning, rows: int, columns: int) -> Tensor:
        """Tokens (tokens, dim) -> the prediction (16, f, H/8, W/8)."""
        patches = from_blocks(self.head(x, conditioning.time), rows, columns)  # (f, h, w, 64)
        return rearrange(patches, "f h w (y x c) -> c f (h y) (w x)", y=PATCH, x=PATCH)


def timestep_embedding(timestep: float, dim: int) -> Tensor:
    """Sinusoidal embedding (dim,) in float64: cosines first."""
    half = dim // 2
    frequencies = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = timestep * frequencies
    return torch.cat([angles.cos(), angles.sin()])


def _modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=EPS) * (1 + scale) + shift
