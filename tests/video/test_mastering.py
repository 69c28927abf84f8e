"""HDR10's mastering metadata through the whole chain: read from the source, and back in the decoded result."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest

from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Preprocess
from flashvsr.video.encode import EncoderSettings, VideoFormat, open_encoder, output_format
from flashvsr.video.mastering import Display, Light, Mastering, mastering_of
from flashvsr.video.probe import probe
from kits.chain import chain
from kits.videos import write_video
from kits.yuv import frame_of, write_frames

PQ = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 16}
DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"  # P3, 1000 cd/m²
KNOWN = Mastering(
    Display(
        (Fraction(34000, 50000), Fraction(16000, 50000)),
        (Fraction(13250, 50000), Fraction(34500, 50000)),
        (Fraction(7500, 50000), Fraction(3000, 50000)),
        (Fraction(15635, 50000), Fraction(16450, 50000)),
        Fraction(50, 10000),
        Fraction(1000),
    ),
    Light(1000, 400),
)


def grey(count: int = 6) -> list[av.VideoFrame]:
    planes = [np.full((96, 128), 300), np.full((48, 64), 512), np.full((48, 64), 512)]
    return [frame_of(planes, "yuv420p10le") for _ in range(count)]


def graded(path: Path, params: str = f"master-display={DISPLAY}:max-cll=1000,400") -> Path:
    return write_frames(path, grey(), "libx265", tags=PQ, options={"x265-params": f"log-level=none:{params}"})


def shown(path: Path) -> Mastering | None:
    with av.open(str(path)) as back:
        return mastering_of(next(back.decode(video=0)))


def assert_alike(found: Mastering | None, expected: Mastering) -> None:
    """AV1 keeps binary fractions, H.264 and HEVC decimal ones."""
    assert found is not None
    assert found.light == expected.light
    if expected.display is None:
        assert found.display is None
        return
    assert found.display is not None
    for name in ("red", "green", "blue", "white"):
        pairs = zip(getattr(found.display, name), getattr(expected.display, name), strict=True)
        assert all(abs(a - b) < Fraction(1, 30000) for a, b in pairs), name
    assert abs(found.display.brightest - expected.display.brightest) < Fraction(1, 100)
    assert abs(found.display.darkest - expected.display.darkest) < Fraction(1, 10000)


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_it_comes_back(codec: str, container: str, tmp_path: Path) -> None:
    report = chain(graded(tmp_path / "hdr.mkv"), tmp_path, codec=codec, container=container)
    assert_alike(shown(report.result), KNOWN)
    assert all("mastering" not in warning for warning in report.warnings)


def test_it_comes_back_by_way_of_a_normalised_file(tmp_path: Path) -> None:
    report = chain(graded(tmp_path / "hdr.mkv"), tmp_path, Config(preprocess=Preprocess(mode="file")), codec="hevc")
    assert_alike(shown(report.result), KNOWN)


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_either_part_alone(codec: str, tmp_path: Path) -> None:
    light = chain(graded(tmp_path / "light.mkv", "max-cll=600,0"), tmp_path, codec=codec)
    assert shown(light.result) == Mastering(None, Light(600, 0))
    display = chain(graded(tmp_path / "display.mkv", f"master-display={DISPLAY}"), tmp_path, codec=codec)
    assert_alike(shown(display.result), Mastering(KNOWN.display))


def test_there_is_none_where_there_was_none(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "plain.mkv", grey(), tags=PQ)
    assert probe(path).mastering is None
    assert shown(chain(path, tmp_path, codec="hevc").result) is None


def format_with(mastering: Mastering, folder: Path) -> VideoFormat:
    path = write_video(folder / "a.mkv", [np.zeros((96, 128, 3), np.uint8)], codec="ffv1", pixel_format="yuv420p10le")
    return output_format(replace(probe(path), mastering=mastering), (128, 96))


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_the_ends_of_what_is_taken_stop_no_encoder(codec: str, tmp_path: Path) -> None:
    low, high = (Fraction(0), Fraction(0)), (Fraction(1), Fraction(1))
    for display in (
        Display(low, low, low, low, Fraction(0), Fraction(1, 10_000_000)),
        Display(high, high, high, high, Fraction(99_999), Fraction(100_000)),
    ):
        video_format = format_with(Mastering(display, Light(50_000, 50_000)), tmp_path)
        assert open_encoder(EncoderSettings(codec, "software", threads=1), video_format).format.mastering is not None


class Frame:
    """A frame's side data, as damage may leave it."""

    def __init__(self, **side_data: bytes) -> None:
        self.side_data = side_data


@pytest.mark.parametrize(
    "change",
    [
        *({at: 0} for at in range(1, 20, 2)),
        {0: 90000},
        {0: -1},
        {16: 20_000_000},
        {16: 10_000_000},
        {16: -1},
        {18: 2_000_000_000},
        {20: 0},
        {21: 0},
    ],
    ids=str,
)
def test_what_makes_no_sense_does_not_count(change: dict[int, int]) -> None:
    numbers = [34000, 50000, 16000, 50000, 13250, 50000, 34500, 50000, 7500, 50000, 3000, 50000, 15635, 50000, 16450]
    numbers += [50000, 50, 10000, 10_000_000, 10000, 1, 1]
    good = Frame(MASTERING_DISPLAY_METADATA=struct.pack("=22i", *numbers))
    assert mastering_of(cast(Any, good)) == Mastering(KNOWN.display)
    for at, value in change.items():
        numbers[at] = value
    assert mastering_of(cast(Any, Frame(MASTERING_DISPLAY_METADATA=struct.pack("=22i", *numbers)))) is None
    assert mastering_of(cast(Any, Frame(MASTERING_DISPLAY_METADATA=b"short", CONTENT_LIGHT_LEVEL=bytes(8)))) is None


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ((1000, 400), Light(1000, 400)),
        ((1000, 0), Light(1000, 0)),
        ((0, 400), Light(0, 400)),
        ((0, 0), None),
        ((50_000, 50_000), Light(50_000, 50_000)),
        ((50_001, 400), None),
        ((400, 50_001), None),
    ],
)
def test_the_brightest_pixel_and_picture(told: tuple[int, int], expected: Light | None) -> None:
    found = mastering_of(cast(Any, Frame(CONTENT_LIGHT_LEVEL=struct.pack("=2I", *told))))
    assert found == (None if expected is None else Mastering(light=expected))


def test_nvenc_says_that_it_does_not_pass_it_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice of NVENC where it works, which it does not here: its place is taken by x265."""
    monkeypatch.setattr("flashvsr.video.encode._NVENC", {"hevc": "libx265"})
    chosen = open_encoder(EncoderSettings("hevc", "auto", threads=1), format_with(KNOWN, tmp_path))
    assert any("mastering metadata" in warning for warning in chosen.warnings)
