"""A model of the published shapes with random weights: as fast and as large as the real one, without its files."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from flashvsr.model.decoder import CONDITION_CHANNELS, DecoderParams
from flashvsr.model.dit import DitParams
from flashvsr.model.lq_projection import LqProjectionParams
from flashvsr.model.network import FlashVSR


@dataclass(frozen=True)
class Shapes:
    """Widths of the three networks; `prompt`: its tokens."""

    dit: DitParams
    lq: LqProjectionParams
    decoder: DecoderParams
    prompt: int


PUBLISHED = Shapes(
    DitParams(dim=1536, ffn=8960, layers=30, text_dim=4096),
    LqProjectionParams(hidden=(2048, 3072), dim=1536),
    DecoderParams((512, 256, 128, 128)),
    prompt=512,
)

# Layers of the decoder that no rectifier precedes: the upsamplings and the convolutions behind them.
_LINEAR = ("1", "9", "10", "15", "16", "21", "22")
_RESIDUAL = 0.5  # of a memory block's last convolution, so that three blocks in a row do not grow
_CONTRAST = 0.2  # of the frames that come out
_MODULATION = 0.2


@torch.no_grad()
def random_model(
    device: torch.device | str, dtype: torch.dtype, shapes: Shapes = PUBLISHED, *, seed: int = 0
) -> FlashVSR:
    """Make the weights on the device, in their number format from the start: no copy in another one is made.

    Values keep their size from layer to layer, as in a trained model, and the latents have their say in the frames:
    a rounding error then weighs what it weighs in a real one.
    """
    with torch.device("meta"):
        model = FlashVSR(shapes.dit, shapes.lq, shapes.decoder, torch.empty(1, shapes.prompt, shapes.dit.text_dim))
    model = model.to(dtype).to_empty(device=device)
    generator = torch.Generator(device).manual_seed(seed)
    for name, weight in model.named_parameters():
        _fill(name, weight, generator)
    model.prompt.normal_(generator=generator)
    return model.eval().requires_grad_(False)


def _fill(name: str, weight: Tensor, generator: torch.Generator) -> None:
    if name.endswith("bias"):
        weight.zero_()
    elif name.endswith("modulation"):
        weight.normal_(std=_MODULATION, generator=generator)
    elif name.endswith("gamma") or weight.ndim == 1:
        weight.fill_(1)
    else:
        weight.normal_(std=_gain(name) / math.sqrt(weight[0].numel()), generator=generator)
        if name == "decoder.decoder.1.weight":  # few latents beside many pixels: equal shares for both
            weight[:, CONDITION_CHANNELS:] *= math.sqrt(CONDITION_CHANNELS / (weight.shape[1] - CONDITION_CHANNELS))


def _gain(name: str) -> float:
    parts = name.split(".")
    if parts[0] != "decoder" or parts[2] in _LINEAR:
        return 1.0
    if parts[3:5] == ["conv", "4"]:
        return _RESIDUAL * math.sqrt(2)
    if parts[2] == "26":
        return _CONTRAST
    return math.sqrt(2)
