"""The nano model inside the package: small, and better than bicubic on footage it has never seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from flashvsr.model.weights import load_model
from flashvsr.training.validate import measure
from flashvsr.weights import nano_folder

CLIP = Path(__file__).parents[1] / "data" / "validation" / "bbb_384x256.mkv"


def test_it_takes_at_most_8_megabytes() -> None:
    assert sum(file.stat().st_size for file in nano_folder().iterdir()) <= 8_000_000


@pytest.mark.parametrize("bicubic", [False, True], ids=["halved by averages", "halved by the bicubic filter"])
def test_it_beats_bicubic(bicubic: bool) -> None:
    measured = measure(load_model(nano_folder(), "cpu", torch.float32).model, CLIP, bicubic)
    assert measured.gain >= 0.3
    assert measured.pooled_gain >= 0.3
    assert measured.pooled_flicker_gain >= 0
