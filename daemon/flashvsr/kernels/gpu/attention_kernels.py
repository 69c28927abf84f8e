"""Which of the attention kernels a device takes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from flashvsr.kernels.fp8_attention import FORMAT
from flashvsr.kernels.gpu import block_sparse_attention, extension_attention
from flashvsr.kernels.gpu.large_tiles import HOPPER, capability_of
from flashvsr.kernels.select_blocks import BlockLists
from flashvsr.kernels.shapes import BLOCK_TOKENS, HEAD_DIM

log = logging.getLogger(__name__)
Kernel = TypeVar("Kernel")


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


def kernel_for(attention: str, device: torch.device) -> Attend:
    """The kernel of the setting "triton" or "block_sparse_attn" on this device."""
    if attention == "block_sparse_attn":
        return extension_attention.block_sparse_attention
    portable: Attend = block_sparse_attention.block_sparse_attention
    if not _is_hopper(device):
        return portable
    return _tried(
        lambda: _hopper_attention(device), "bfloat16", "one for all GPUs takes over, which is slower", portable
    )


def fp8_kernel_for(attention: str, device: torch.device) -> AttendFp8 | None:
    """The kernel in 8 bits for the same setting, or None where there is none."""
    if attention != "triton" or not _is_hopper(device):
        return None
    return _tried(lambda: _fp8_attention(device), "8 bits", "attention computes in 16 bits", None)


def _tried(kernel: Callable[[], Kernel], kind: str, instead: str, other: Kernel) -> Kernel:
    """A kernel that was seen to run. Gluon is experimental: another Triton may not import or compile what is written in
    it. Then `other`, and a warning that says what is done `instead`."""
    try:
        return kernel()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a compiler may raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        log.warning("this Triton cannot make the kernel for attention in %s: %s (%s)", kind, instead, reason)
        return other


def _hopper_attention(device: torch.device) -> Attend:
    from flashvsr.kernels.gpu import hopper_attention  # Gluon, which nothing else needs

    q, selection = _smallest(device)
    hopper_attention.block_sparse_attention(q, q, q, selection)
    return hopper_attention.block_sparse_attention


def _fp8_attention(device: torch.device) -> AttendFp8:
    from flashvsr.kernels.gpu import fp8_attention

    q, selection = _smallest(device)
    q, one = q.to(FORMAT), torch.ones(1, 1, device=device)
    fp8_attention.fp8_attention(q, q, q.view(1, 1, HEAD_DIM, BLOCK_TOKENS), one, one[0], selection, torch.bfloat16)
    return fp8_attention.fp8_attention


def _smallest(device: torch.device) -> tuple[Tensor, BlockLists]:
    """One block that sees itself, in bfloat16."""
    nothing = torch.zeros(1, 1, 1, dtype=torch.int32, device=device)
    q = torch.zeros(BLOCK_TOKENS, 1, HEAD_DIM, dtype=torch.bfloat16, device=device)
    return q, BlockLists(nothing, torch.ones(1, 1, dtype=torch.int32, device=device), nothing[0, 0])


def _is_hopper(device: torch.device) -> bool:
    return device.type == "cuda" and capability_of(device)[0] == HOPPER
