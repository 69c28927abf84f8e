"""Which of the attention kernels a device takes."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from flashvsr.kernels.gpu import block_sparse_attention, extension_attention
from flashvsr.kernels.gpu.large_tiles import HOPPER, capability_of
from flashvsr.kernels.select_blocks import BlockLists


class Attend(Protocol):
    """Softmax attention of each query block over the key blocks listed for it."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, selection: BlockLists) -> Tensor:
        """q (T, heads, 128), k and v (S*128, heads, 128) -> (T, heads, 128)."""


class AttendFp8(Protocol):
    """The same in 8 bits."""

    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        values: Tensor,
        value_scales: Tensor,
        scales: Tensor,
        selection: BlockLists,
        dtype: torch.dtype,
    ) -> Tensor:
        """See `flashvsr.kernels.fp8_attention.fp8_attention`."""


def fp8_kernel_for(attention: str, device: torch.device) -> AttendFp8 | None:
    """The kernel in 8 bits for the same setting, or None where there is none."""
    if attention != "triton" or not _is_hopper(device):
        return None
    from flashvsr.kernels.gpu import fp8_attention  # Gluon, which nothing else needs

    return fp8_attention.fp8_attention


def _is_hopper(device: torch.device) -> bool:
    return device.type == "cuda" and capability_of(device)[0] == HOPPER


def kernel_for(attention: str, device: torch.device) -> Attend:
    """The kernel of the setting "triton" or "block_sparse_attn" on this device."""
    if attention == "block_sparse_attn":
        return extension_attention.block_sparse_attention
    if _is_hopper(device):
        from flashvsr.kernels.gpu import hopper_attention  # Gluon, which nothing else needs

        return hopper_attention.block_sparse_attention
    return block_sparse_attention.block_sparse_attention
