"""A small model of random weights, and a picture for it."""

from __future__ import annotations

from flashvsr.bench.random_model import Shapes
from flashvsr.model.decoder import DecoderParams
from flashvsr.model.dit import DitParams
from flashvsr.model.lq_projection import LqProjectionParams

SMALL = Shapes(
    DitParams(dim=128, ffn=256, layers=4, text_dim=32),
    LqProjectionParams(hidden=(16, 24), dim=128),
    DecoderParams((8, 8, 4, 4)),
    prompt=8,
)
SIZE = (128, 128)
