from __future__ import annotations

import pytest

from flashvsr.errors import BadInput
from flashvsr.preset import Preset
from flashvsr.video.geometry import plan


def test_crop_rounds_down_and_cuts_evenly() -> None:
    geometry = plan(1920, 1080, Preset(width=960, scale=2.0, fit="crop"))
    assert geometry.scaled == (960, 540)
    assert geometry.upscaled == (1920, 1080)
    assert geometry.model == geometry.output == (1920, 1024)
    assert geometry.offset == (0, 28)


def test_pad_gives_exactly_scale_times_the_size() -> None:
    geometry = plan(1920, 1080, Preset(width=960, scale=2.0, fit="pad"))
    assert geometry.output == geometry.upscaled == (1920, 1080)
    assert geometry.model == (1920, 1152)
    assert geometry.offset == (0, -36)


@pytest.mark.parametrize(
    ("source", "width", "scaled"),
    [
        ((176, 144), 960, (960, 786)),  # 785.45: the nearest even number
        ((853, 480), 0, (854, 480)),  # width 0 keeps the size, made even
        ((353, 289), 0, (354, 290)),
        ((1080, 1920), 640, (640, 1138)),  # portrait, 1137.8
        ((641, 361), 768, (768, 432)),  # 432.5
        ((1280, 720), 1280, (1280, 720)),
        ((4096, 2), 128, (128, 2)),
    ],
)
def test_height_follows_width_and_is_even(source: tuple[int, int], width: int, scaled: tuple[int, int]) -> None:
    assert plan(*source, Preset(width=width, scale=4.0, fit="pad")).scaled == scaled


@pytest.mark.parametrize("scale", [1.0, 1.1, 1.5, 2.0, 2.7, 3.0, 4.0, 6.4, 8.0])
@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("source", [(640, 360), (361, 641), (719, 575), (130, 1000)])
def test_every_size_is_consistent(scale: float, fit: str, source: tuple[int, int]) -> None:
    geometry = plan(*source, Preset(width=256, scale=scale, fit=fit))
    for axis in (0, 1):
        assert geometry.scaled[axis] % 2 == geometry.upscaled[axis] % 2 == 0
        assert abs(geometry.upscaled[axis] - geometry.scaled[axis] * scale) <= 1
        assert geometry.model[axis] % 128 == 0
        gap = geometry.upscaled[axis] - geometry.model[axis]
        assert geometry.offset[axis] * 2 == gap
        assert 0 <= gap < 128 if fit == "crop" else -128 < gap <= 0
    assert geometry.output == (geometry.model if fit == "crop" else geometry.upscaled)


def test_too_small_and_too_large_say_what_to_change() -> None:
    with pytest.raises(BadInput, match=r"raise width or scale.*pad"):
        plan(400, 100, Preset(width=128, scale=2.0, fit="crop"))
    assert plan(400, 100, Preset(width=128, scale=2.0, fit="pad")).model == (256, 128)
    with pytest.raises(BadInput, match="lower width or scale"):
        plan(1920, 1080, Preset(width=4096, scale=8.0))
