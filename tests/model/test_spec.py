"""What follows from a picture and the options."""

from __future__ import annotations

import pytest
import torch

from flashvsr.model.spec import StreamOptions, StreamSpec
from flashvsr.model.windows import window

CPU = torch.device("cpu")


@pytest.mark.parametrize("size", [(100, 128), (128, 130), (0, 128), (-128, 128)])
def test_other_sizes_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="multiples of 128"):
        StreamSpec(*size)


def test_sparsity_follows_the_area() -> None:
    spec = StreamSpec(384, 640, StreamOptions(sparse_ratio=1.5, local_range=7, kv_ratio=2))
    sparsity = spec.sparsity(CPU)
    assert sparsity.budget == int(15 * 15 * (1.5 * 768 * 1280 / (384 * 640)))
    assert sparsity.allowed[0].view(3, 5).tolist() == 3 * [[True] * 4 + [False]]
    assert StreamSpec(768, 1280).sparsity(CPU).budget == 2 * 60 * 60, "the ratio itself"


def test_sizes_of_what_the_networks_work_on() -> None:
    spec = StreamSpec(256, 384)
    assert (spec.rows, spec.columns) == (16, 24)
    assert spec.noise_shape(window(0)) == (16, 6, 32, 48)
    assert spec.noise_shape(window(1)) == (16, 2, 32, 48)
    assert [StreamSpec(128, 128, StreamOptions(kv_ratio=ratio)).slots for ratio in (1, 2, 3, 5)] == [3, 3, 4, 6]
