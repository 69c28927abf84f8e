"""Pictures whose shape changes on the way: circles stay round."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from flashvsr.errors import Interrupted
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Chunks, Preprocess
from flashvsr.video.shape import Frame
from kits.chain import Watching, chain, played
from kits.ts import joined, recording
from kits.videos import number_of


def lit(picture: np.ndarray) -> tuple[int, int]:
    """Width and height of what is not black; the numbered pictures are grey at least."""
    bright = picture.max(axis=2) > 20
    return int(bright.any(axis=0).sum()), int(bright.any(axis=1).sum())


def film(folder: Path, *parts: tuple[tuple[int, int], Fraction], codec: str = "libx264") -> Path:
    """Parts of 25 frames, each with a size and a shape of its pixels."""
    made = [
        recording(
            folder / f"{n}.ts",
            range(25 * n, 25 * n + 25),
            size=size,
            aspect=aspect,
            codec=codec,
            clock=Fraction(10 + n),
        )
        for n, (size, aspect) in enumerate(parts)
    ]
    return joined(folder / "film.ts", made)


NARROW, WIDE = ((128, 96), Fraction(1)), ((128, 96), Fraction(4, 3))


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_wide_parts_of_a_narrow_film_get_bars(container: str, codec: str, tmp_path: Path) -> None:
    report = chain(film(tmp_path, NARROW, WIDE, NARROW, codec=codec), tmp_path, container=container)
    shown = played(report.result)
    assert [number_of(p[12:84]) for p in shown.pictures] == list(range(75))
    assert {lit(p) for p in shown.pictures[:25] + shown.pictures[50:]} == {(128, 96)}
    assert all(abs(width - 128) <= 1 and abs(height - 72) <= 2 for width, height in map(lit, shown.pictures[25:50]))
    assert any("changes its shape 2 times" in warning for warning in report.warnings)
    with av.open(str(report.result)) as back:
        assert back.streams.video[0].sample_aspect_ratio in (None, 1)


def test_narrow_parts_of_a_wide_film_get_bars(tmp_path: Path) -> None:
    report = chain(film(tmp_path, WIDE, NARROW), tmp_path)
    shown = played(report.result)
    assert all(abs(width - 96) <= 2 and height == 96 for width, height in map(lit, shown.pictures[25:]))
    with av.open(str(report.result)) as back:
        assert back.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_another_size_of_the_same_shape_fills_the_frame(tmp_path: Path) -> None:
    """Standard definition with wide pixels, then high definition with square ones."""
    report = chain(film(tmp_path, WIDE, ((256, 144), Fraction(1))), tmp_path)
    assert {lit(p) for p in played(report.result).pictures} == {(128, 96)}
    assert not any("shape" in warning for warning in report.warnings)


@pytest.mark.parametrize("mode", ["stream", "file"])
def test_after_an_interruption(mode: str, tmp_path: Path) -> None:
    path = film(tmp_path, NARROW, WIDE)
    settings = Config(chunks=Chunks(size=8), preprocess=Preprocess(mode=mode))
    with pytest.raises(Interrupted):
        chain(path, tmp_path, settings, Watching(40, Interrupted("stop")))
    report = chain(path, tmp_path, settings)
    assert report.resumed_at > 25
    assert all(abs(height - 72) <= 2 for _, height in map(lit, played(report.result).pictures[25:]))


def test_shapes_that_differ_by_rounding_are_one() -> None:
    frame = Frame((640, 360))
    for size in ((1920, 1080), (1280, 718), (854, 480)):
        assert frame.fit(*size, Fraction(1)).size == (640, 360)
    assert frame.changes == 0
    assert frame.fit(480, 360, Fraction(1)).size == (480, 360)
    assert frame.fit(480, 360, Fraction(1)).place == (80, 0)
    assert frame.changes == 1
