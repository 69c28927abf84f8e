"""Which kernel computes the attention: the setting `model.attention`, and what this machine has."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

import torch

from flashvsr.errors import BadConfig
from flashvsr.kernels.extension_attention import ExtensionMissing, load_extension

Attention = Literal["triton", "block_sparse_attn", "torch"]
Capability = tuple[int, int]

LEAST_CAPABILITY = (8, 0)
_GPU_WANTED = 'needs a GPU of compute capability 8.0 or newer, and {found}; set "auto" or "torch"'


def choose_attention(setting: str, device: torch.device, dtype: torch.dtype = torch.bfloat16) -> Attention:
    """Resolve `model.attention` for a model of number format `dtype` on `device`.

    Raises:
        BadConfig: it cannot be used here; the message says why and what to do.
    """
    return attention_for(setting, torch.cuda.get_device_capability(device) if device.type == "cuda" else None, dtype)


def attention_for(setting: str, capability: Capability | None, dtype: torch.dtype = torch.bfloat16) -> Attention:
    """The same for a GPU of this compute capability, None for a CPU. Raises BadConfig."""
    able = capability is not None and capability >= LEAST_CAPABILITY
    if setting == "torch" or (setting == "auto" and not able):
        return "torch"
    if not able:
        found = "there is none" if capability is None else f"this one has {capability[0]}.{capability[1]}"
        raise BadConfig(f'model.attention = "{setting}" {_GPU_WANTED.format(found=found)}')
    if setting == "block_sparse_attn":
        return _extension(dtype)
    if find_spec("triton") is None:
        raise BadConfig(
            f'model.attention = "{setting}" needs the package triton, which is missing; install it (PyTorch for CUDA '
            'brings it along), or set "torch", which is many times slower'
        )
    return "triton"


def _extension(dtype: torch.dtype) -> Attention:
    try:
        load_extension()
    except ExtensionMissing as error:
        raise BadConfig(f'model.attention = "block_sparse_attn": {error}; or set "auto"') from error
    if dtype not in (torch.bfloat16, torch.float16):
        raise BadConfig(
            'model.attention = "block_sparse_attn" computes in 16 bits alone, and this model computes in '
            f'{str(dtype).removeprefix("torch.")}; set "auto" or "torch"'
        )
    return "block_sparse_attn"
