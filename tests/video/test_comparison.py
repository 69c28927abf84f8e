"""Pictures of what is gained: they show the right frame, both sides of it, and the place that gains most."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flashvsr.files.trees import OWN
from flashvsr.video.comparison import SMALL, SMALL_BYTES, labelled, small
from flashvsr.video.lettering import label, label_size
from flashvsr.video.media import hold_source
from flashvsr.video.picture import Pair, pair_of
from flashvsr.video.probe import probe
from kits.videos import number_of, numbered, write_video


def read(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    assert image.format == "JPEG"
    return np.asarray(image.convert("RGB"))


def gained(width: int, height: int, x: int, y: int, side: int = 40) -> Pair:
    """A smooth picture, whose result has a chequered square more."""
    rows, columns = np.mgrid[:height, :width]
    smooth = np.stack([rows * 255 / height, columns * 255 / width, np.full((height, width), 90)], axis=2)
    before = smooth.astype(np.uint8)
    after = before.copy()
    after[y : y + side, x : x + side] = (((rows + columns) % 8 < 4) * 255).astype(np.uint8)[
        y : y + side, x : x + side, None
    ]
    return Pair(before, after)


def test_left_is_before_and_right_is_after() -> None:
    before, after = (np.full((360, 640, 3), colour, np.uint8) for colour in ((200, 30, 30), (30, 30, 200)))
    picture = read(labelled(Pair(before, after), (320, 180)))
    height, width = picture.shape[:2]
    assert width == 640
    for y in (200, height - 30):
        assert np.abs(picture[y, 40].astype(int) - (200, 30, 30)).max() < 12
        assert np.abs(picture[y, width - 40].astype(int) - (30, 30, 200)).max() < 12
    halves = read(small(Pair(before, after)))
    assert halves.shape == (SMALL[1], SMALL[0], 3)
    assert np.abs(halves[60, 60].astype(int) - (200, 30, 30)).max() < 12
    assert np.abs(halves[60, -60].astype(int) - (30, 30, 200)).max() < 12


def contrast(picture: np.ndarray) -> float:
    return float(picture[..., 2].std())


@pytest.mark.parametrize(("x", "y"), [(20, 30), (560, 280), (300, 160)])
def test_the_place_that_gains_most_is_enlarged(x: int, y: int) -> None:
    pair = gained(640, 360, x, y)
    picture = read(labelled(pair, (320, 180))).astype(int)
    row = picture[400:]  # below its labels
    assert contrast(row[:, 330:]) > 3 * contrast(row[:, :310])
    halves = read(small(pair)).astype(int)
    assert contrast(halves[:, 165:]) > 3 * contrast(halves[:, :155])


@pytest.mark.slow
@pytest.mark.parametrize("size", [(128, 128), (1920, 1080), (1080, 1920), (130, 1000), (2050, 1160)])
def test_every_shape_fits(size: tuple[int, int]) -> None:
    width, height = size
    pair = gained(width, height, width // 3, height // 3)
    picture = read(labelled(pair, (width // 2, height // 2)))
    assert picture.shape[1] == min(width, 1920)
    assert picture.shape[0] > picture.shape[1] * height / width
    assert read(small(pair)).shape == (SMALL[1], SMALL[0], 3)


def test_the_small_one_is_small_whatever_it_shows() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    assert len(small(Pair(noise, noise))) <= SMALL_BYTES


def test_both_are_the_same_frame(tmp_path: Path) -> None:
    pictures = [numbered(n, 192, 128) for n in range(60)]
    source = write_video(tmp_path / "a.mp4", pictures, options={"crf": "5"})
    result = write_video(tmp_path / "b.mp4", pictures, options={"crf": "5"})
    with hold_source(OWN, source), hold_source(OWN, result):
        for at, number in ((None, 19), (0.0, 0), (1.5, 37), (2.37, 59), (99.0, 59)):
            pair = pair_of(probe(source), result, at=at)
            assert number_of(pair.before) == number_of(pair.after) == number


def test_labels_are_read_on_any_ground() -> None:
    for grey in (0, 128, 255):
        picture = np.full((60, 200, 3), grey, np.uint8)
        label(picture, "Result 4x", 10, 10, 2)
        width, height = label_size("Result 4x", 2)
        box = picture[10 : 10 + height, 10 : 10 + width, 0].astype(int)
        assert set(np.unique(box)) == {int(grey * 0.28), 255}
        assert (picture[: 10] == grey).all()  # fmt: skip
    tight = np.zeros((10, 20, 3), np.uint8)
    label(tight, "much too long for this", 4, 4, 1)
    label(tight, "\u4e2d?", 0, 0, 1)
