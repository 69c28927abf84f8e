"""Pictures on their way into the model and out of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flashvsr.settings.preset import Preset
from flashvsr.upscaling.frames import enlarged, finished, from_model, to_model
from flashvsr.video.geometry import Geometry, plan

CPU = torch.device("cpu")
PAD = plan(200, 140, Preset(width=0, scale=1.0, fit="pad"))
CROP = plan(200, 140, Preset(scale=1.0, fit="crop"))
DOUBLED = plan(128, 64, Preset(width=0, scale=2.0))


def noise(geometry: Geometry, kind: type[np.uint8] | type[np.uint16] = np.uint8) -> np.ndarray:
    width, height = geometry.scaled
    return np.random.default_rng(3).integers(0, np.iinfo(kind).max, (height, width, 3), kind, endpoint=True)


@pytest.mark.parametrize("deep", [False, True], ids=["8 bits", "16 bits"])
def test_what_was_added_is_taken_off_and_the_rest_is_unchanged(deep: bool) -> None:
    picture = noise(PAD, np.uint16 if deep else np.uint8)
    made = to_model(picture, PAD, CPU)
    assert made.shape == (3, 256, 256)
    assert made.abs().max() <= 1
    (back,) = from_model(made[:, None], PAD, deep=deep)
    assert back.dtype == picture.dtype
    assert np.array_equal(back, picture)


def test_what_was_cut_off_stays_off_evenly() -> None:
    picture = noise(CROP)
    (back,) = from_model(to_model(picture, CROP, CPU)[:, None], CROP)
    assert np.array_equal(back, picture[6:134, 36:164])


def test_a_picture_is_enlarged_before_the_model_sees_it() -> None:
    flat = np.full((64, 128, 3), 200, np.uint8)
    made = enlarged(torch.from_numpy(flat), DOUBLED)
    assert made.shape == (3, 128, 256)
    assert torch.allclose(made, torch.tensor(200 / 127.5 - 1), atol=1e-6)


def test_frames_beyond_black_and_white_are_held_to_them() -> None:
    frames = torch.tensor([-3.0, 3.0])[None, :, None, None].expand(3, 2, 256, 256)
    assert [picture.unique().tolist() for picture in finished(frames, PAD)] == [[0], [255]]
