"""Numbers of H.273 in, numbers of H.273 out: every one that is known, every gap that is filled, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flashvsr.video.color import ColorInfo, is_high_definition, output_color, resolve
from flashvsr.video.decode import decode
from flashvsr.video.probe import probe
from kits.yuv import LUMA, calm, flat_and_ramp, frame_of, subsampled, to_planes, write_frames

SD, HD = (720, 576), (1280, 720)
MATRICES = {1: "bt709", 4: "fcc", 5: "smpte170m", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc", 10: "bt2020nc"}
PRIMARIES = {1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22}
TRANSFERS = {1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}


def read(
    matrix: int = 2, color_range: int = 0, pixels: str = "yuv420p", size: tuple[int, int] = SD, **tags: int
) -> ColorInfo:
    return resolve(matrix, color_range, pixels, False, size, **tags)


@pytest.mark.parametrize("size", [SD, HD], ids=["sd", "hd"])
@pytest.mark.parametrize(("number", "name"), MATRICES.items())
def test_a_matrix_that_is_named_is_taken_whatever_the_size(number: int, name: str, size: tuple[int, int]) -> None:
    assert read(number, size=size) == ColorInfo(name, "limited")


@pytest.mark.parametrize("number", [2, 3, 63, 255, -1], ids=["not told", "reserved", "unknown", "255", "negative"])
def test_a_matrix_that_says_nothing_goes_by_the_size(number: int) -> None:
    assert read(number, size=SD).matrix == "smpte170m"
    assert read(number, size=HD).matrix == "bt709"


@pytest.mark.parametrize(
    ("size", "high"),
    [((1279, 576), False), ((1280, 2), True), ((2, 576), False), ((2, 577), True), ((1280, 577), True)],
)
def test_where_high_definition_begins(size: tuple[int, int], high: bool) -> None:
    assert is_high_definition(*size) is high
    assert read(size=size).matrix == ("bt709" if high else "smpte170m")
    assert output_color(read(size=SD), *size).matrix == ("bt709" if high else "smpte170m")


@pytest.mark.parametrize(
    ("color_range", "pixels", "meant"),
    [
        (0, "yuv420p", "limited"),
        (0, "yuv444p10le", "limited"),
        (0, "yuvj420p", "full"),
        (0, "yuvj422p", "full"),
        (0, "gray", "full"),
        (0, "gray10le", "full"),
        (0, "ya8", "full"),
        (1, "yuv420p", "limited"),
        (1, "yuvj420p", "limited"),
        (1, "gray", "limited"),
        (1, "ya8", "limited"),
        (2, "yuv420p", "full"),
        (2, "gray", "full"),
        (7, "yuv420p", "limited"),
    ],
)
def test_ranges(color_range: int, pixels: str, meant: str) -> None:
    assert read(1, color_range, pixels).range == meant


@pytest.mark.parametrize("color_range", [0, 1, 2])
def test_rgb_is_of_full_range_whatever_it_says(color_range: int) -> None:
    assert resolve(1, color_range, "gbrp", True, HD, 9, 16) == ColorInfo("rgb", "full", 9, 16)


def test_tags_that_are_defined_pass_and_no_others() -> None:
    numbers = range(-2, 300)
    assert {n for n in numbers if read(primaries=n).primaries == n} == PRIMARIES | {2}
    assert {read(primaries=n).primaries for n in numbers} == PRIMARIES | {2}
    assert {n for n in numbers if read(transfer=n).transfer == n} == TRANSFERS | {2}
    assert {read(transfer=n).transfer for n in numbers} == TRANSFERS | {2}


def test_numbers_for_the_encoder() -> None:
    names = {"rgb": 0, "bt709": 1, "fcc": 4, "smpte170m": 6, "smpte240m": 7, "bt2020nc": 9}
    assert {name: ColorInfo(name, "limited").matrix_number for name in names} == names
    assert (ColorInfo("bt709", "limited").range_number, ColorInfo("bt709", "full").range_number) == (1, 2)


@pytest.mark.parametrize(("size", "code"), [(SD, 6), (HD, 1)], ids=["sd", "hd"])
@pytest.mark.parametrize("matrix", ["rgb", "bt709", "fcc", "smpte170m", "smpte240m"])
@pytest.mark.parametrize("color_range", ["limited", "full"])
def test_a_result_is_of_its_size_and_says_so(matrix: str, color_range: str, size: tuple[int, int], code: int) -> None:
    made = output_color(ColorInfo(matrix, color_range), *size)
    assert (made.matrix_number, made.range_number, made.primaries, made.transfer) == (code, 1, code, code)


@pytest.mark.parametrize("size", [SD, HD], ids=["sd", "hd"])
@pytest.mark.parametrize("number", [9, 10])
def test_bt2020_stays_and_is_tagged_where_the_source_is_not(number: int, size: tuple[int, int]) -> None:
    """Of its two curves, which are the same, the one for 10 bits; never that of HDR."""
    assert output_color(read(number), *size) == ColorInfo("bt2020nc", "limited", 9, 14)


@pytest.mark.parametrize(("size", "code"), [(SD, 6), (HD, 1)], ids=["sd", "hd"])
def test_each_tag_is_kept_or_filled_in_by_itself(size: tuple[int, int], code: int) -> None:
    made = output_color(read(primaries=5), *size)
    assert (made.primaries, made.transfer) == (5, code)
    made = output_color(read(transfer=4), *size)
    assert (made.primaries, made.transfer) == (code, 4)


# The matrices that no test with a whole chain has: number, and the weights of red and blue by H.273.
RARE = {4: (0.30, 0.11), 5: (0.299, 0.114), 7: (0.212, 0.087), 10: (0.2627, 0.0593)}


@pytest.mark.parametrize("size", [(384, 96), (1280, 96)], ids=["sd", "hd"])
@pytest.mark.parametrize("number", RARE)
def test_rare_matrices_are_decoded_by_their_own_weights(
    number: int, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LUMA, "rare", RARE[number])
    rgb = flat_and_ramp(*size)
    frame = frame_of(subsampled(to_planes(rgb, "rare", "limited", 8), "yuv420p"), "yuv420p")
    path = write_frames(tmp_path / "rare.mkv", [frame] * 2, tags={"colorspace": number, "color_range": 1})
    shown = next(iter(decode(probe(path), size))).rgb
    assert np.abs(shown - rgb * 255).max(axis=2)[calm(rgb)].max() < 3
