"""The picture shows the places of the greatest gain and loss."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from flashvsr.bench.quality import BICUBIC, MODEL, ComparedFrame
from flashvsr.bench.strip import SEPARATOR, PictureStrip

SIDE, DETAIL = 64, 16


def picture_with(x: int, y: int, level: int) -> torch.Tensor:
    picture = torch.full((3, SIDE, SIDE), 100, dtype=torch.uint8)
    picture[:, y : y + DETAIL, x : x + DETAIL] = level
    return picture


def test_gain_and_loss_are_shown_in_this_order(tmp_path: Path) -> None:
    source = torch.full((3, SIDE, SIDE), 100, dtype=torch.uint8)
    strip = PictureStrip()
    strip.see(ComparedFrame(0, source, {BICUBIC: source, MODEL: source}))
    strip.see(ComparedFrame(1, source, {BICUBIC: picture_with(16, 32, 140), MODEL: source}))  # gain
    strip.see(ComparedFrame(2, source, {BICUBIC: source, MODEL: picture_with(40, 4, 80)}))  # loss
    strip.see(ComparedFrame(3, source, {BICUBIC: picture_with(0, 0, 110), MODEL: source}))  # a smaller gain
    strip.write(tmp_path / "strip.png")
    with av.open(str(tmp_path / "strip.png")) as container:
        png = next(container.decode(video=0)).to_ndarray(format="rgb24")
    step = SIDE + SEPARATOR
    assert png.shape == (3 * step - SEPARATOR, 3 * step - SEPARATOR, 3)
    cells = [[png[r * step :][:SIDE, c * step :][:, :SIDE] for c in range(3)] for r in range(3)]
    assert np.array_equal(cells[0][1], picture_with(16, 32, 140).permute(1, 2, 0).numpy())
    assert [int(cell.mean()) for cell in cells[1]] == [100, 140, 100]
    assert [int(cell.mean()) for cell in cells[2]] == [100, 100, 80]


def test_no_frame_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a frame"):
        PictureStrip().write(tmp_path / "strip.png")
