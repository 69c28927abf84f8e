"""Which models the fused kernels take."""

from __future__ import annotations

import torch

from flashvsr.model.fused.network import unsuitable
from kits.fused import small_model


def test_models_that_the_kernels_cannot_take() -> None:
    model = small_model(torch.device("cpu"))
    assert unsuitable(model.to(torch.bfloat16)) is None
    assert "float32" in str(unsuitable(model.float()))
    model.half().decoder.params = type(model.decoder.params)((64, 96, 64, 64))
    assert "64, 96, 64, 64 channels" in str(unsuitable(model))
