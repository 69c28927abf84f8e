from __future__ import annotations

from fractions import Fraction

import pytest

from flashvsr.errors import BadInput, Skipped
from flashvsr.settings.preset import Preset
from flashvsr.video.geometry import notes, plan


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
        ((1080, 1920), 640, (360, 640)),  # a portrait is made that high
        ((1080, 1919), 640, (360, 640)),  # 360.2
        ((641, 361), 768, (768, 432)),  # 432.5
        ((1280, 720), 1280, (1280, 720)),
        ((4096, 2), 128, (128, 2)),
    ],
)
def test_height_follows_width_and_is_even(source: tuple[int, int], width: int, scaled: tuple[int, int]) -> None:
    assert plan(*source, Preset(width=width, scale=4.0, fit="pad")).scaled == scaled


@pytest.mark.parametrize("scale", [1.0, 1.1, 1.5, 2.0, 2.7, 3.0, 4.0, 6.4, 8.0])
@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("source", [(640, 360), (361, 641), (719, 575), (260, 1000)])
def test_every_size_is_consistent(scale: float, fit: str, source: tuple[int, int]) -> None:
    geometry = plan(*source, Preset(width=512, scale=scale, fit=fit))
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
        plan(1920, 1080, Preset(width=4096, scale=8.0, limit=""))


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


DEFAULT = Preset().fixed((1920, 1080))


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ((640, 480), (1280, 960)),
        ((960, 540), (1920, 1080)),  # exactly the limit
        ((962, 540), (1920, 1078)),
        ((1280, 720), (1920, 1080)),
        ((720, 1280), (1080, 1920)),
        ((720, 720), (1080, 1080)),
        ((720, 576), (1350, 1080)),
        ((1900, 300), (1920, 304)),  # 303.2
        ((1279, 719), (1920, 1080)),
    ],
)
def test_what_would_exceed_the_limit_is_made_as_large_as_it_allows(
    source: tuple[int, int], result: tuple[int, int]
) -> None:
    geometry = plan(*source, DEFAULT)
    assert geometry.output == geometry.upscaled == result
    for axis in (0, 1):
        assert abs(geometry.scaled[axis] - result[axis] / 2) <= 1


@pytest.mark.parametrize("limit", ["1921x1081", "1920x1081", "1921x1080"])
def test_no_side_exceeds_an_odd_limit(limit: str) -> None:
    for source in ((1280, 720), (1279, 721), (1001, 563), (720, 1280), (1281, 721)):
        longer, shorter = sorted(plan(*source, Preset(limit=limit)).output, reverse=True)
        assert longer <= 1920
        assert shorter <= 1081


def test_a_limit_turns_with_the_picture_whichever_way_it_is_written() -> None:
    for limit in ("1920x1080", "1080x1920"):
        assert plan(1280, 720, Preset(limit=limit)).output == (1920, 1080)
        assert plan(720, 1280, Preset(limit=limit)).output == (1080, 1920)


@pytest.mark.parametrize("source", [(1920, 1080), (1080, 1920), (3840, 2160), (1919, 1079), (1440, 1080)])
@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_a_source_as_large_as_its_result_is_skipped(source: tuple[int, int], fit: str) -> None:
    with pytest.raises(Skipped, match=f"{source[0]}x{source[1]} pixels already"):
        plan(*source, Preset(fit=fit).fixed((1920, 1080)))


@pytest.mark.parametrize("source", [(1920, 1080), (1080, 1920), (1440, 1080)])
def test_restoring_keeps_the_size(source: tuple[int, int]) -> None:
    geometry = plan(*source, Preset(limit="1920x1080", at_limit="restore"))
    assert geometry.output == source
    assert geometry.scaled == (source[0] // 2, source[1] // 2)


def test_nothing_but_force_goes_beyond_the_limit() -> None:
    for at_limit in ("skip", "restore"):
        preset = Preset(limit="1920x1080", at_limit=at_limit)
        with pytest.raises(Skipped, match="1920x1080 at most"):
            plan(3840, 2160, preset)
        assert plan(3840, 2160, preset, force=True).output == (3840, 2160)
        assert plan(1920, 1080, preset, force=True).output == (1920, 1080)
    assert plan(640, 480, DEFAULT, force=True) == plan(640, 480, DEFAULT), "it changes nothing where nothing is skipped"


def test_a_scale_of_one_is_a_wish_while_no_limit_is_in_the_way() -> None:
    same = Preset(scale=1.0, limit="1920x1080")
    assert plan(1920, 1080, same).output == (1920, 1080)
    assert plan(1280, 720, same).output == (1280, 720)
    with pytest.raises(Skipped):
        plan(1922, 1080, same)


def test_a_width_may_ask_for_less_than_the_source_has() -> None:
    """As presets of earlier versions do: then it is made, and said."""
    preset = Preset(width=960, limit="1920x1080")
    assert plan(3840, 2160, preset).output == (1920, 1080)
    assert plan(3840, 2160, Preset(width=1280, limit="1920x1080")).output == (1920, 1080)
    with pytest.raises(Skipped):
        plan(1920, 1080, Preset(width=1920, limit="1920x1080"))


def told(width: int, height: int, preset: Preset) -> list[str]:
    return notes(width, height, preset, plan(width, height, preset))


def test_what_a_person_should_know_about_the_sizes() -> None:
    assert told(640, 480, DEFAULT) == []
    assert told(1280, 720, DEFAULT) == ["the result is 1920x1080 and not 2560x1440, as the limit is 1920x1080"]
    assert told(1920, 1080, Preset(limit="1920x1080", at_limit="restore")) == [
        "the result is 1920x1080 and not 3840x2160, as the limit is 1920x1080"
    ]
    smaller = "the result, 1280x720, has fewer pixels than the source, 1920x1080: width = 640 asks for it"
    assert told(1920, 1080, Preset(width=640)) == [smaller]
    cut = 'the result, 1920x1024, has fewer pixels than the source, 1920x1080: fit = "crop" asks for it'
    assert told(1920, 1080, Preset(scale=1.0, fit="crop")) == [cut]
    assert told(639, 479, Preset(scale=1.0)) == [], "640x480 has more"


def test_a_limit_of_auto_is_fixed_for_the_device_and_no_other_is() -> None:
    assert Preset().fixed((2560, 1440)).largest == (2560, 1440)
    assert Preset(limit="1280x720").fixed((2560, 1440)).largest == (1280, 720)
    assert Preset(limit="").fixed((2560, 1440)).largest is None
