"""A model's weights in the form that the fused kernels read."""

from __future__ import annotations

import torch

from flashvsr.kernels.gpu.attention_kernels import fp8_kernel_for, kernel_for
from flashvsr.model.fused.decoder import NARROW, DecoderWeights
from flashvsr.model.fused.dit import AttentionKernels, DitWeights
from flashvsr.model.fused.lq_projection import TILE, LqWeights
from flashvsr.model.network import FlashVSR

SIXTEEN_BITS, INT8, FP8 = "auto", "int8", "fp8"  # as the settings name them


def unsuitable(model: FlashVSR) -> str | None:
    """Why the fused kernels cannot take a model, or None."""
    if model.dtype not in (torch.bfloat16, torch.float16):
        return f"it computes in {str(model.dtype).removeprefix('torch.')}, the kernels in 16 bits"
    for name, channels, tile in (
        ("decoder", model.decoder.params.channels, NARROW.columns),
        ("LQ projection", model.lq_projection.params.hidden, TILE.columns),
    ):
        if not all(_fits(channel, tile) for channel in channels):
            widths = ", ".join(map(str, channels))
            return f"its {name} has {widths} channels, and the kernels take 64, 128 or multiples of {tile}"
    return None


def _fits(channels: int, columns: int) -> bool:
    """Whether they are whole tiles of that many columns, or one smaller tile."""
    return channels % columns == 0 or channels in (64, 128)


class FusedModel:
    """A model's weights as the kernels read them. They are taken over: the model itself is of no use afterwards."""

    def __init__(self, model: FlashVSR, attention: str = "triton", precision: str = SIXTEEN_BITS) -> None:
        """`attention`: "triton" or "block_sparse_attn"; `unsuitable` must find nothing about the model.

        `precision`: INT8 has all matrix products of the transformer's layers computed in 8-bit integers, FP8 attention
        in 8 bits as well, where the device has a kernel for that.
        """
        self.model, self.attention = model, attention
        eight = fp8_kernel_for(attention, model.device) if precision == FP8 else None
        self.precision = INT8 if precision == FP8 and eight is None else precision  # what is really computed with
        self.attend = AttentionKernels(kernel_for(attention, model.device), eight)
        with torch.no_grad():
            self.dit = DitWeights(model.dit, model.conditioning(), precision != SIXTEEN_BITS)
            self.lq = LqWeights(model.lq_projection)
            self.decoder = DecoderWeights(model.decoder)
