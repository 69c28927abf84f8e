from __future__ import annotations

from fractions import Fraction

import pytest

from flashvsr.errors import BadInput
from flashvsr.settings.preset import Preset
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


def test_one_block_is_enough_and_less_on_either_side_is_not() -> None:
    same = Preset(width=0, scale=1.0, fit="crop")
    assert plan(128, 128, same).output == (128, 128)
    for size in ((126, 128), (128, 126)):
        with pytest.raises(BadInput, match=f"{size[0]}x{size[1]} becomes .*less than one 128x128 block"):
            plan(*size, same)


@pytest.mark.parametrize(
    ("fit", "side", "passes"),
    [
        ("pad", 16384, True),
        ("pad", 16258, True),  # the model's rectangle is 16384
        ("pad", 16386, False),
        ("crop", 16384, True),
        ("crop", 16386, False),  # though 16384 of it would be left
    ],
)
def test_the_largest_side(fit: str, side: int, passes: bool) -> None:
    for size in ((side, 256), (256, side)):
        if passes:
            assert max(plan(*size, Preset(width=0, scale=1.0, fit=fit)).model) == 16384
        else:
            with pytest.raises(BadInput, match=f"becomes {size[0]}x{size[1]}, more than the 16384 pixels a side"):
                plan(*size, Preset(width=0, scale=1.0, fit=fit))


def test_the_models_rectangle_counts_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where the largest side is not of whole blocks."""
    monkeypatch.setattr("flashvsr.video.geometry.MAX_SIDE", 1000)
    assert plan(896, 256, Preset(width=0, scale=1.0, fit="pad")).model == (896, 256)
    with pytest.raises(BadInput, match="more than the 1000 pixels"):
        plan(898, 256, Preset(width=0, scale=1.0, fit="pad"))


def test_a_scale_is_the_decimal_number_that_was_written() -> None:
    """130 times 1.9 is 247, and goes up to 248; the nearest binary number is a little less."""
    assert plan(130, 130, Preset(width=0, scale=1.9, fit="pad")).upscaled == (248, 248)


def test_the_shown_part_of_each_side() -> None:
    cropped = plan(400, 270, Preset(width=0, scale=1.0, fit="crop"))
    assert cropped.shown == (Fraction(384, 400), Fraction(256, 270))
    assert plan(400, 270, Preset(width=0, scale=1.0, fit="pad")).shown == (Fraction(1), Fraction(1))
