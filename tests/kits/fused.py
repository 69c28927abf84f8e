"""Small models whose widths the fused kernels take."""

from __future__ import annotations

import torch
from torch import Tensor

from flashvsr.model.decoder import DecoderParams
from flashvsr.model.dit import DitParams
from flashvsr.model.lq_projection import LqProjectionParams
from flashvsr.model.network import FlashVSR

# What a GPU computes in is rounded more coarsely than what the interpreter does here.
GPU = torch.cuda.is_available()
DTYPE = torch.bfloat16 if GPU else torch.float32
TOLERANCE = 2e-2 if GPU else 1e-5


def small_model(device: torch.device, layers: int = 2) -> FlashVSR:
    """Random weights, always the same."""
    torch.manual_seed(0)
    model = FlashVSR(
        DitParams(dim=256, ffn=128, layers=layers, text_dim=32),
        LqProjectionParams((64, 64), 256),
        DecoderParams((64, 64, 64, 64)),
        torch.randn(1, 8, 32),
    )
    for block in model.dit.blocks:
        torch.nn.init.normal_(block.get_parameter("modulation"), std=0.1)
    return model.eval().requires_grad_(False).to(device, DTYPE)


def error(found: Tensor, expected: Tensor) -> float:
    """Relative."""
    return float((found.double() - expected.double()).norm() / expected.double().norm())
