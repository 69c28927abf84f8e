"""Starting point of the nano model: everything but the decoder, which `initial_decoder` builds by hand.

The transformer starts as "clean latents = carriers of position", whatever the noise: the head's bias differs by
the place of a latent pixel in its token, and we let it write alternating signs into two latent channels. The
decoder needs them, because it enlarges by repeating pixels: without them nothing in it could tell the left half
of a cell from the right one, and texture whose period divides 8 pixels would be lost.
"""

from __future__ import annotations

import torch

from flashvsr.model.dit import Dit
from flashvsr.model.network import FlashVSR
from flashvsr.training.channel_layout import COLUMN_CARRIER, ROW_CARRIER
from flashvsr.training.initial_decoder import initialise_decoder

STEADY = 4.0  # size of the constant token channels that keep the head's LayerNorm from following the noise


@torch.no_grad()
def initialise(model: FlashVSR) -> None:
    """Set the starting weights of `model`."""
    _initialise_dit(model.dit)
    for linear in model.lq_projection.linear_layers:
        linear.weight.mul_(0.1)
        linear.bias.zero_()
    initialise_decoder(model.decoder)


def _initialise_dit(dit: Dit) -> None:
    dim, latent = dit.params.dim, 64
    for layer in dit.blocks:
        layer.modulation.zero_()
        layer.modulation[0, 2] = layer.modulation[0, 5] = 0.1  # gates: nearly closed
        layer.cross_attn.o.weight.mul_(0.1)
        layer.cross_attn.o.bias.zero_()
    dit.time_projection[1].weight.mul_(0.1)
    dit.time_projection[1].bias.zero_()
    dit.patch_embedding.weight.zero_()
    dit.patch_embedding.weight.view(dim, latent)[:latent] = torch.eye(latent)
    signs = torch.ones(dim - latent)
    signs[1::2] = -1
    dit.patch_embedding.bias.zero_()
    dit.patch_embedding.bias[latent:] = STEADY * signs
    head = dit.head
    head.modulation.zero_()
    # The head adds the time embedding to its modulation; start without it.
    dit.time_embedding[2].weight.mul_(0.1)
    dit.time_embedding[2].bias.zero_()
    deviation = ((STEADY**2 * (dim - latent) + latent) / dim) ** 0.5
    # Token channels are (channel, row, column), the head's outputs (row, column, channel).
    for channel in range(16):
        for row in range(2):
            for column in range(2):
                out, token = (2 * row + column) * 16 + channel, 4 * channel + 2 * row + column
                head.head.weight[out] = 0.01 * head.head.weight[out]
                head.head.weight[out, token] = deviation
                sign = {COLUMN_CARRIER: 1 - 2 * column, ROW_CARRIER: 1 - 2 * row}.get(channel, 0)
                head.head.bias[out] = -sign  # latents = noise - output
