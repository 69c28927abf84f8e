"""LQ projection: low-quality frames to tokens that are added to the transformer's, causal in time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from flashvsr.model.blocks import to_blocks
from flashvsr.model.cells import TOKEN_CELL
from flashvsr.model.windows import FRAMES_PER_LATENT

CELL_CHANNELS = 3 * TOKEN_CELL * TOKEN_CELL
KERNEL = (4, 3, 3)
STRIDE = (2, 1, 1)
MEMORY = 2  # input frames each convolution remembers; they stand where its left padding would be


@dataclass(frozen=True)
class LqProjectionParams:
    """Widths; 1.3B has hidden (2048, 3072), dim 1536, outputs 1 (only layer 0 gets LQ tokens)."""

    hidden: tuple[int, int]
    dim: int
    outputs: int = 1


@dataclass
class LqMemory:
    """The last two input frames of either convolution, (1, C, 2, h, w)."""

    conv1: Tensor
    conv2: Tensor


class ChannelRMSNorm(nn.Module):
    """x / ||x||_2 * sqrt(C) * gamma over the channels of (1, C, f, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=1) * x.shape[1] ** 0.5 * self.gamma


class LqProjection(nn.Module):
    """Two causal convolutions over space-to-depth frames, then one linear map per fed layer."""

    def __init__(self, params: LqProjectionParams) -> None:
        super().__init__()
        first, second = params.hidden
        self.params = params
        self.conv1 = nn.Conv3d(CELL_CHANNELS, first, KERNEL, STRIDE)
        self.norm1 = ChannelRMSNorm(first)
        self.conv2 = nn.Conv3d(first, second, KERNEL, STRIDE)
        self.norm2 = ChannelRMSNorm(second)
        self.linear_layers = nn.ModuleList(nn.Linear(second, params.dim) for _ in range(params.outputs))

    def start(self, frame: Tensor) -> LqMemory:
        """Open a stream with its first frame (3, 1, H, W): fills the memories, makes no tokens."""
        cells = _to_cells(frame.expand(-1, FRAMES_PER_LATENT, -1, -1))
        history = cells[:, :, :1].expand(-1, -1, MEMORY, -1, -1)
        hidden = F.silu(self.norm1(_convolve(self.conv1, history, cells)))
        return LqMemory(conv1=cells[:, :, -MEMORY:], conv2=hidden[:, :, -MEMORY:])

    def forward(self, frames: Tensor, memory: LqMemory) -> list[Tensor]:
        """Take in 4f frames and remember their end.

        Args:
            frames: (3, 4f, H, W) in [-1, 1].
            memory: what came before; updated in place.

        Returns:
            For each fed layer, tokens (f*h*w, dim) in block order. f is even.
        """
        cells = _to_cells(frames)
        hidden = F.silu(self.norm1(_convolve(self.conv1, memory.conv1, cells)))
        features = F.silu(self.norm2(_convolve(self.conv2, memory.conv2, hidden)))
        memory.conv1 = cells[:, :, -MEMORY:].clone()
        memory.conv2 = hidden[:, :, -MEMORY:].clone()
        tokens = to_blocks(rearrange(features, "1 c f h w -> f h w c"))
        return [linear(tokens) for linear in self.linear_layers]


def _to_cells(frames: Tensor) -> Tensor:
    return rearrange(frames, "c f (h y) (w x) -> 1 (c y x) f h w", y=TOKEN_CELL, x=TOKEN_CELL)


def _convolve(conv: nn.Conv3d, history: Tensor, x: Tensor) -> Tensor:
    """Convolve with `history` in front in time and the picture's edges repeated around it."""
    return conv(F.pad(torch.cat([history, x], dim=2), (1, 1, 1, 1, 0, 0), mode="replicate"))
