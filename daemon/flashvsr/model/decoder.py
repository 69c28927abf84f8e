"""The tiny conditional decoder: latents and the low-quality frames they belong to -> frames."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from flashvsr.model.cells import LATENT_CELL
from flashvsr.model.dit import LATENT_CHANNELS
from flashvsr.model.windows import FRAMES_PER_LATENT

# Time steps that go through the layers together: a GPU wants enough work at once, a CPU tensors that stay near its
# caches. Window 0 has six of them and would need three times the memory of the others.
STEPS_AT_ONCE, STEPS_AT_ONCE_ON_CPU = 2, 1
CONDITION_CHANNELS = 3 * FRAMES_PER_LATENT * LATENT_CELL * LATENT_CELL


@dataclass(frozen=True)
class DecoderParams:
    """Channels at 1/8, 1/4, 1/2 and full size; v1.1 has (512, 256, 128, 128)."""

    channels: tuple[int, int, int, int]


class Squash(nn.Module):
    """tanh(x/3)*3: keeps the latents in range."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


class MemoryBlock(nn.Module):
    """Residual block that also sees the previous time step's input.

    Attributes:
        idle: it only rectifies.
        inputs: channels of [x, previous] that the first convolution reads, where these are not all.
        sees_past: some of them are of the previous step.
        outputs: channels that the last convolution adds to, where these are not all.
    """

    inputs: Tensor | None
    outputs: Tensor | None

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv3x3(2 * channels, channels),
            nn.ReLU(),
            _conv3x3(channels, channels),
            nn.ReLU(),
            _conv3x3(channels, channels),
        )
        self.idle, self.sees_past = False, True
        self.register_buffer("inputs", None, persistent=False)
        self.register_buffer("outputs", None, persistent=False)

    def convolutions(self) -> tuple[nn.Conv2d, nn.Conv2d, nn.Conv2d]:
        """The three of them."""
        first, second, third = (layer for layer in self.conv if isinstance(layer, nn.Conv2d))
        return first, second, third

    def forward(self, x: Tensor, previous: Tensor | None) -> Tensor:
        """x (t, C, h, w), all time steps at once; previous (1, C, h, w) is the step before, None for zero."""
        if self.idle:
            return F.relu(x)
        seen = x
        if self.sees_past:
            if previous is None:
                previous = torch.zeros_like(x[:1])
            seen = torch.cat([x, torch.cat([previous, x[:-1]])], dim=1)
        if self.inputs is not None:
            seen = seen[:, self.inputs]
        added = self.conv(seen)
        if self.outputs is None:
            return F.relu(added + x)
        # With channels last, as frames are on a CPU, this is as fast as adding all of them.
        x, added = x.movedim(1, -1), added.movedim(1, -1)
        return F.relu_(x.index_add(-1, self.outputs, added)).movedim(-1, 1)


class Upsample(nn.Module):
    """Nearest x2 in space, and x`times` in time by a 1x1 convolution with that many groups of channels."""

    def __init__(self, channels: int, times: int) -> None:
        super().__init__()
        self.times = times
        self.conv = nn.Conv2d(channels, channels * times, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(t, C, h, w) -> (t*times, C, 2h, 2w)."""
        # The published order is nearest, then 1x1; they commute, and this way the 1x1 does a quarter of the work.
        x = rearrange(self.conv(x), "t (s c) h w -> (t s) c h w", s=self.times)
        return F.interpolate(x, scale_factor=2, mode="nearest")


class Decoder(nn.Module):
    """The decoder. Parameter names are those of the published weights: `decoder.N` of the sequence below."""

    def __init__(self, params: DecoderParams) -> None:
        super().__init__()
        c8, c4, c2, c1 = params.channels
        self.params = params
        layers: dict[int, nn.Module] = {
            0: Squash(),
            1: _conv3x3(CONDITION_CHANNELS + LATENT_CHANNELS, c8),
            2: nn.ReLU(),
            3: _conv3x3(c8, c8, bias=False),
            4: nn.ReLU(),
            **{n: MemoryBlock(c8) for n in (5, 6, 7)},
            9: Upsample(c8, times=1),
            10: _conv3x3(c8, c4, bias=False),
            **{n: MemoryBlock(c4) for n in (11, 12, 13)},
            15: Upsample(c4, times=2),
            16: _conv3x3(c4, c2, bias=False),
            **{n: MemoryBlock(c2) for n in (17, 18, 19)},
            21: Upsample(c2, times=2),
            22: _conv3x3(c2, c1, bias=False),
            23: nn.ReLU(),
            24: _conv3x3(c1, c1, bias=False),
            25: nn.ReLU(),
            26: _conv3x3(c1, 3),
        }
        self.decoder = nn.ModuleDict({str(n): layer for n, layer in layers.items()})

    def forward(self, latents: Tensor, condition: Tensor, memory: dict[str, Tensor]) -> Tensor:
        """Decode the latents of one window.

        Args:
            latents: (16, f, H/8, W/8).
            condition: (3, F, H, W) in [-1, 1], the low-quality frames; F = 4f, or 4f-3 at the start of a stream.
            memory: last input of each memory block; empty at the start of a stream, updated in place.

        Returns:
            (3, F, H, W), about [-1, 1].
        """
        missing = -condition.shape[1] % FRAMES_PER_LATENT
        padded = torch.cat([condition[:, :1].expand(-1, missing, -1, -1), condition], dim=1)
        packed = rearrange(
            padded, "c (t f) (h y) (w x) -> t (c f y x) h w", f=FRAMES_PER_LATENT, y=LATENT_CELL, x=LATENT_CELL
        )
        at_once = STEPS_AT_ONCE_ON_CPU if packed.is_cpu else STEPS_AT_ONCE
        steps = torch.cat([packed, latents.transpose(0, 1)], dim=1).split(at_once)
        frames = torch.cat([self._decode(x, memory) for x in steps])
        return rearrange(frames[missing:], "t c h w -> c t h w") * 2 - 1

    def _decode(self, x: Tensor, memory: dict[str, Tensor]) -> Tensor:
        """Some time steps (t, 784, H/8, W/8) -> frames (4t, 3, H, W) in about [0, 1]."""
        x = x.contiguous(memory_format=torch.channels_last)
        for name, layer in self.decoder.items():
            if isinstance(layer, MemoryBlock):
                previous = memory.get(name)
                if layer.sees_past and not layer.idle:
                    memory[name] = x[-1:].clone()
                x = layer(x, previous)
            else:
                x = layer(x)
        return x


def _conv3x3(inputs: int, outputs: int, *, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)
