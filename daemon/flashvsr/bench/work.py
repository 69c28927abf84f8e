"""How much arithmetic a window of the model takes: the floor that its time is measured against.

Counted are multiplications with an addition, as two FLOPs, in matrix products, convolutions and attention. All else
is small beside them. Attention counts the block pairs that the budget keeps, and convolutions as the weights are
stored: kernels that fold two of them into one may need less.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from flashvsr.model.blocks import BLOCK_SIDE, BLOCK_TOKENS
from flashvsr.model.cells import BLOCK_CELL, LATENT_CELL, TOKEN_CELL
from flashvsr.model.decoder import Decoder, MemoryBlock, Upsample
from flashvsr.model.dit import LATENT_CHANNELS, PATCH, DitParams
from flashvsr.model.lq_projection import CELL_CHANNELS, KERNEL, MEMORY, STRIDE, LqProjectionParams
from flashvsr.model.network import FlashVSR
from flashvsr.model.stream import StreamOptions, StreamSpec
from flashvsr.model.windows import FRAMES_PER_WINDOW, LATENTS_PER_GROUP


@dataclass(frozen=True)
class Work:
    """FLOPs of one window of 8 frames, by what needs them.

    `products`: the matrix products of the layers. `head`: patches to tokens and back.
    """

    projection: int
    products: int
    attention: int
    cross_attention: int
    head: int
    decoder: int

    @property
    def stages(self) -> dict[str, int]:
        """The same by stage of the stream."""
        return {
            "project": self.projection,
            "layers": self.products + self.attention + self.cross_attention,
            "head": self.head,
            "decode": self.decoder,
        }

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.stages.values())


def work_of(model: FlashVSR, width: int, height: int, options: StreamOptions) -> Work:
    """What a window after the first takes for a picture of width x height pixels."""
    rows, columns = height // TOKEN_CELL, width // TOKEN_CELL
    tokens = LATENTS_PER_GROUP * rows * columns
    params = model.dit.params
    patches = 2 * tokens * LATENT_CHANNELS * PATCH * PATCH * params.dim
    return Work(
        projection=projection_work(model.lq_projection.params, rows * columns),
        products=products_work(params, tokens),
        attention=attention_work(params, rows // BLOCK_SIDE, columns // BLOCK_SIDE, options),
        cross_attention=params.layers * 4 * tokens * model.prompt.shape[1] * params.dim,
        head=2 * patches,
        decoder=decoder_work(model.decoder, LATENTS_PER_GROUP * (height // LATENT_CELL) * (width // LATENT_CELL)),
    )


def products_work(params: DitParams, tokens: int) -> int:
    """Queries, keys, values and output of self-attention, query and output of cross-attention, feed-forward."""
    return params.layers * 2 * tokens * (6 * params.dim**2 + 2 * params.dim * params.ffn)


def attention_work(params: DitParams, rows: int, columns: int, options: StreamOptions) -> int:
    """Scores and weighted sums of the block pairs that are kept, on a grid of rows x columns blocks."""
    pairs = kept_pairs(rows, columns, options)
    return params.layers * params.dim * pairs * 4 * BLOCK_TOKENS**2


def kept_pairs(rows: int, columns: int, options: StreamOptions) -> int:
    """Block pairs that attend, per head: what the budget keeps, and no more than are near enough."""
    sparsity = StreamSpec(rows * BLOCK_CELL, columns * BLOCK_CELL, options).sparsity(torch.device("cpu"))
    near = int(sparsity.allowed.sum()) * (options.kv_ratio + 1)
    return max(0, min(sparsity.budget - 1, near))  # the strongest are those above the budget's last


def projection_work(params: LqProjectionParams, cells: int) -> int:
    """Two convolutions over the frames' cells, and the maps to tokens."""
    first, second = params.hidden
    taps = KERNEL[0] * KERNEL[1] * KERNEL[2]
    steps = (FRAMES_PER_WINDOW + MEMORY - KERNEL[0]) // STRIDE[0] + 1
    convolutions = steps * CELL_CHANNELS * first
    steps = (steps + MEMORY - KERNEL[0]) // STRIDE[0] + 1
    convolutions += steps * first * second
    return 2 * cells * (taps * convolutions + steps * second * params.dim * params.outputs)


def decoder_work(decoder: Decoder, places: int) -> int:
    """The convolutions, for so many latent pixels of all time steps together.

    Layers are counted as they are, those that `slim` made smaller as what is left of them.
    """
    flops = 0
    for layer in decoder.decoder.values():
        if not (isinstance(layer, MemoryBlock) and layer.idle):
            weights = sum(conv.weight.numel() for conv in layer.modules() if isinstance(conv, nn.Conv2d))
            flops += 2 * places * weights
        if isinstance(layer, Upsample):
            places *= 4 * layer.times
    return flops
