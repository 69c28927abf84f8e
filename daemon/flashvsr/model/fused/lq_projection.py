"""The LQ projection on raster convolutions."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from flashvsr.kernels.gpu.channel_norm import norm_into_blocks, norm_into_raster
from flashvsr.kernels.gpu.raster_convolution import Tile, convolve_strided, strided_rows
from flashvsr.kernels.raster import Raster
from flashvsr.kernels.raster_convolution import taps_first
from flashvsr.model.cells import TOKEN_CELL
from flashvsr.model.fused.dit import drop
from flashvsr.model.lq_projection import CELL_CHANNELS, MEMORY, LqProjection
from flashvsr.model.windows import FRAMES_PER_LATENT, FRAMES_PER_WINDOW, LATENTS_PER_GROUP

TILE = Tile(128, 256, 64, 8, 3)


class LqWeights:
    """What the kernels read, in their order. The module gives its convolutions up: nothing is held twice."""

    def __init__(self, module: LqProjection) -> None:
        self.convolutions, self.biases = [], []
        for conv in (module.conv1, module.conv2):
            assert conv.bias is not None
            self.convolutions.append(taps_first(conv.weight.detach()))
            self.biases.append(conv.bias.detach().float())
            drop(conv)
        self.gammas = [norm.gamma.detach().float().flatten() for norm in (module.norm1, module.norm2)]
        self.linear = module.linear_layers


class FusedLqProjection:
    """One stream's LQ projection, with its memory: the first two frames of either raster are those before the next."""

    def __init__(self, weights: LqWeights, rows: int, columns: int) -> None:
        """`rows` x `columns` tokens."""
        self.weights = weights
        first = weights.convolutions[0]
        cells, hidden = FRAMES_PER_WINDOW, FRAMES_PER_WINDOW // 2
        self._cells = Raster.zeros(MEMORY + cells, rows, columns, CELL_CHANNELS, first, edges=2)
        self._hidden = Raster.zeros(MEMORY + hidden, rows, columns, first.shape[1], first, edges=2)

    @property
    def device(self) -> torch.device:
        """Where it computes: where its weights lie."""
        return self._cells.rows.device

    def start(self, frame: Tensor) -> None:
        """Open a stream with its first frame (3, 1, H, W)."""
        self._fill(frame.expand(-1, FRAMES_PER_LATENT, -1, -1), 0)
        first = self._convolve(0, self._cells, 1)
        for index in range(MEMORY):
            norm_into_raster(first, self.weights.gammas[0], self._hidden, index)

    def __call__(self, frames: Tensor) -> list[Tensor]:
        """(3, 8g, H, W) in [-1, 1] -> for each fed layer, tokens (2g*h*w, dim) in block order."""
        groups = [self._group(part) for part in frames.split(FRAMES_PER_WINDOW, dim=1)]
        return [torch.cat(parts) if len(parts) > 1 else parts[0] for parts in zip(*groups, strict=True)]

    def _group(self, frames: Tensor) -> list[Tensor]:
        weights, hidden = self.weights, self._hidden
        self._fill(frames, MEMORY)
        norm_into_raster(self._convolve(0, self._cells, FRAMES_PER_WINDOW // 2), weights.gammas[0], hidden, MEMORY)
        features = self._convolve(1, hidden, LATENTS_PER_GROUP)
        tokens = norm_into_blocks(features, weights.gammas[1], hidden.pitch, hidden.height, hidden.width)
        for raster in (self._cells, hidden):
            raster.padded()[:MEMORY] = raster.padded()[-MEMORY:]
        return [linear(tokens) for linear in weights.linear]

    def _fill(self, frames: Tensor, first: int) -> None:
        """Space to depth into the raster, with the picture's edge repeated around it."""
        padded = self._cells.padded()[first : first + frames.shape[1]]
        inside = padded[:, 1:-1, 1:-1].unflatten(-1, (3, TOKEN_CELL, TOKEN_CELL))
        inside.copy_(rearrange(frames, "c f (h y) (w x) -> f h w c y x", y=TOKEN_CELL, x=TOKEN_CELL))
        padded[:, 1:-1, 0], padded[:, 1:-1, -1] = padded[:, 1:-1, 1], padded[:, 1:-1, -2]
        padded[:, 0], padded[:, -1] = padded[:, 1], padded[:, -2]

    def _convolve(self, index: int, x: Raster, frames: int) -> Tensor:
        """(frames, rows, C), see `convolve_strided`."""
        weight = self.weights.convolutions[index]
        out = weight.new_empty(frames, strided_rows(x, TILE), weight.shape[1])
        convolve_strided(x, weight, out, bias=self.weights.biases[index], tile=TILE)
        return out
