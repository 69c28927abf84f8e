"""Which kernel computes the attention: the setting `model.attention`, and what this machine has."""

from __future__ import annotations

import os
import shutil
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch

from flashvsr.errors import BadConfig
from flashvsr.kernels.gpu.extension_attention import ExtensionMissing, load_extension

Attention = Literal["triton", "block_sparse_attn", "torch"]
Capability = tuple[int, int]

LEAST_CAPABILITY = (8, 0)
_GPU_WANTED = 'needs a GPU of compute capability 8.0 or newer, and {found}; set "auto" or "torch"'


@dataclass(frozen=True)
class Chosen:
    """What computes the attention. `note`: why it is not the fast kernels on a GPU that could run them, or None."""

    attention: Attention
    note: str | None = None


def choose_attention(setting: str, device: torch.device, dtype: torch.dtype = torch.bfloat16) -> Chosen:
    """Resolve `model.attention` for a model of number format `dtype` on `device`.

    Raises:
        BadConfig: it cannot be used here; the message says why and what to do.
    """
    return attention_for(setting, torch.cuda.get_device_capability(device) if device.type == "cuda" else None, dtype)


def attention_for(setting: str, capability: Capability | None, dtype: torch.dtype = torch.bfloat16) -> Chosen:
    """The same for a GPU of this compute capability, None for a CPU. Raises BadConfig."""
    able = capability is not None and capability >= LEAST_CAPABILITY
    if setting == "torch" or (setting == "auto" and not able):
        return Chosen("torch")
    if not able:
        found = "there is none" if capability is None else f"this one has {capability[0]}.{capability[1]}"
        raise BadConfig(f'model.attention = "{setting}" {_GPU_WANTED.format(found=found)}')
    lacking = lacking_for_kernels()
    if lacking is not None:
        if setting == "auto":
            return Chosen("torch", f"plain PyTorch computes, many times slower than the GPU could: {lacking}")
        raise BadConfig(f'model.attention = "{setting}" cannot be used: {lacking}; or set "torch", many times slower')
    if setting == "block_sparse_attn":
        return Chosen(_extension(dtype))
    return Chosen("triton")


def lacking_for_kernels() -> str | None:
    """What this machine lacks for compiling the fused kernels, with what to do; None if it has all."""
    if find_spec("triton") is None:
        return "the package triton is missing; install it (PyTorch for CUDA brings it along)"
    # Triton builds its launcher with them, once for each installation.
    if not (os.environ.get("CC") or any(shutil.which(name) for name in ("cc", "gcc", "clang"))):
        return "there is no C compiler, which Triton needs; install gcc"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "Python's header files are missing, which Triton needs; install python3-dev"
    return None


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
