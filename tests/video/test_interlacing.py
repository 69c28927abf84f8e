"""Interlaced video: found by its flags and by what it shows, deinterlaced, with every frame at its time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from flashvsr.errors import Interrupted
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Chunks
from flashvsr.video.decode import DecodeOptions, decode
from flashvsr.video.interlacing import Scan, _Counts, examine
from flashvsr.video.probe import probe
from kits.chain import Watching, chain, played
from kits.paths import CASES

WIDTH, HEIGHT = 128, 96
FAST = 6  # pixels from field to field


def texture() -> np.ndarray:
    """A wide, smooth random picture, to pan over; (HEIGHT, 1200) floats."""
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(HEIGHT, 1600))
    for axis, size in ((1, 9), (0, 5)):
        noise = np.apply_along_axis(np.convolve, axis, noise, np.ones(size) / size, "same")
    return np.clip(128 + noise * 250, 20, 235)


def view(wide: np.ndarray, at: int) -> np.ndarray:
    return wide[:, at : at + WIDTH]


def woven(wide: np.ndarray, first: int, second: int, order: str) -> np.ndarray:
    """A frame whose field shown first is the view at `first`."""
    frame = np.empty((HEIGHT, WIDTH))
    early = 0 if order == "tff" else 1
    frame[early::2], frame[1 - early :: 2] = view(wide, first)[early::2], view(wide, second)[1 - early :: 2]
    return frame


def interlaced(count: int, order: str = "tff", speed: int = FAST) -> list[np.ndarray]:
    wide = texture()
    return [woven(wide, 2 * n * speed, (2 * n + 1) * speed, order) for n in range(count)]


def progressive(count: int) -> list[np.ndarray]:
    wide = texture()
    return [view(wide, 2 * n * FAST) for n in range(count)]


def telecined(count: int) -> list[np.ndarray]:
    """24 frames a second in 30: fields 2, 3, 2, 3."""
    wide = texture()
    fields = [film for film in range(count) for _ in range(2 + film % 2)][: 2 * count]
    return [woven(wide, fields[2 * n] * 8, fields[2 * n + 1] * 8, "tff") for n in range(count)]


def write(path: Path, pictures: list[np.ndarray], flags: str | None, codec: str = "mpeg2video") -> Path:
    """`flags`: tff or bff marks the frames as interlaced, None leaves them unmarked."""
    options = {"qscale": "2", "bf": "0"} | ({"flags": "+ildct+ilme"} if flags else {})
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=25, options=options if codec == "mpeg2video" else {})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate = 20_000_000
        graph = None
        if flags:
            graph = av.filter.Graph()
            chain_of = [
                graph.add("buffer", f"video_size={WIDTH}x{HEIGHT}:pix_fmt=yuv420p:time_base=1/25:pixel_aspect=1/1"),
                graph.add("setfield", flags),
                graph.add("buffersink"),
            ]
            graph.link_nodes(*chain_of)
            graph.configure()
        for index, picture in enumerate(pictures):
            grey = np.concatenate([picture.round().astype(np.uint8), np.full((HEIGHT // 2, WIDTH), 128, np.uint8)])
            frame = av.VideoFrame.from_ndarray(grey, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            if graph is not None:
                graph.vpush(frame)
                frame = graph.vpull()
                frame.time_base = Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def combing(picture: np.ndarray) -> float:
    """How much neighbouring lines differ, against lines two apart; above 1 there are combs."""
    grey = picture.astype(float).mean(axis=2) if picture.ndim == 3 else picture
    return float(np.abs(grey[1:] - grey[:-1]).mean() / np.abs(grey[2:] - grey[:-2]).mean())


@pytest.mark.slow
@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("flagged", [True, False], ids=["flags", "no-flags"])
def test_interlaced_video_comes_out_without_combs(order: str, flagged: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "tv.mkv", interlaced(40, order), order if flagged else None)
    assert examine(probe(path)) == Scan(order, flagged)
    report = chain(path, tmp_path)
    shown = played(report.result)
    assert shown.times == [Fraction(n, 25) for n in range(40)]
    assert combing(interlaced(3)[1]) > 1
    assert max(combing(picture) for picture in shown.pictures) < 0.9
    assert any("deinterlaced" in warning for warning in report.warnings)
    # Each frame shows the moment of its first field, not one before or after.
    wide = texture()
    for n in (5, 20, 33):
        distances = [np.abs(shown.pictures[n][..., 1] - view(wide, 2 * n * FAST + d)).mean() for d in (-6, 0, 6)]
        assert distances[1] == min(distances)


def test_off_leaves_the_picture_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "tv.mkv", interlaced(12), "tff")
    report = chain(path, tmp_path, deinterlace="off")
    assert min(combing(picture) for picture in played(report.result).pictures) > 1
    assert report.warnings == []


def test_progressive_video_flagged_as_interlaced_stays_sharp(tmp_path: Path) -> None:
    """Films on European television: every frame says interlaced, and none is."""
    path = write(tmp_path / "film.mkv", progressive(40), "tff")
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    assert examine(probe(path)) == Scan()


def test_progressive_and_still_video_is_left_alone(tmp_path: Path) -> None:
    assert examine(probe(write(tmp_path / "a.mkv", progressive(40), None))) == Scan()
    assert examine(probe(write(tmp_path / "b.mkv", [progressive(1)[0]] * 30, None))) == Scan()


def test_a_still_scene_is_judged_by_its_flags(tmp_path: Path) -> None:
    path = write(tmp_path / "logo.mkv", [interlaced(1)[0]] * 30, "bff")
    assert examine(probe(path)).flagged


def test_interlaced_scenes_later_in_a_film_are_found(tmp_path: Path) -> None:
    """The titles stand still and the film is combed: one look at the start would not tell."""
    path = write(tmp_path / "tape.mkv", [progressive(1)[0]] * 500 + interlaced(120) * 3, None)
    assert examine(probe(path)) == Scan("tff", False)


@pytest.mark.parametrize("flagged", [True, False], ids=["flags", "no-flags"])
def test_telecine_is_noted_and_not_broken(flagged: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "film.mkv", telecined(60), "tff" if flagged else None)
    assert examine(probe(path)).telecined
    report = chain(path, tmp_path)
    shown = played(report.result)
    assert len(shown.pictures) == 60
    assert max(combing(picture) for picture in shown.pictures) < 0.95
    assert any("telecined" in warning for warning in report.warnings)


def test_starting_late_gives_the_same_deinterlaced_frames(tmp_path: Path) -> None:
    info = probe(write(tmp_path / "tv.mkv", interlaced(30), "tff"))
    scan = examine(info)
    whole = list(decode(info, (WIDTH, HEIGHT), DecodeOptions(scan=scan)))
    late = list(decode(info, (WIDTH, HEIGHT), DecodeOptions(first_frame=17, scan=scan)))
    assert [frame.index for frame in late] == list(range(17, 30))
    assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(whole[17:], late, strict=True))


def test_an_interrupted_job_goes_on_deinterlaced(tmp_path: Path) -> None:
    path = write(tmp_path / "tv.mkv", interlaced(40), "tff")
    settings = Config(chunks=Chunks(size=8))
    with pytest.raises(Interrupted):
        chain(path, tmp_path, settings, Watching(16, Interrupted("stop")))
    report = chain(path, tmp_path, settings)
    assert report.resumed_at > 0
    shown = played(report.result)
    assert shown.times == [Fraction(n, 25) for n in range(40)]
    assert max(combing(picture) for picture in shown.pictures) < 0.9


def page(height: int = 600) -> np.ndarray:
    """Something like text: small dark marks in lines."""
    rng = np.random.default_rng(3)
    paper = np.full((height, WIDTH), 235.0)
    for top in range(2, height - 9, 11):
        for left in range(2, WIDTH - 6, 6):
            paper[top : top + 7, left : left + 5][rng.random((7, 5)) > 0.55] = 20
    return paper


def crawl(count: int) -> list[np.ndarray]:
    """A test pattern: a coarse ramp that moves, its steps on every other line."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return [((rows * 3 + columns * 2 + 6 * n) % 200 + 20).astype(float) for n in range(count)]


@pytest.mark.parametrize("lines", [-3, -1, 1, 2, 3, 5])
def test_text_that_scrolls_is_progressive(lines: int, tmp_path: Path) -> None:
    paper = page()
    path = write(tmp_path / "page.mkv", [paper[250 + n * lines :][:HEIGHT] for n in range(50)], None)
    assert examine(probe(path)) == Scan()


def test_a_terminal_is_progressive(tmp_path: Path) -> None:
    paper = page()
    path = write(tmp_path / "terminal.mkv", [paper[n // 2 * 11 :][:HEIGHT] for n in range(40)], None)
    assert examine(probe(path)) == Scan()


def test_a_page_that_is_read_is_left_alone(tmp_path: Path) -> None:
    path = CASES / "page_up1.mp4"
    assert examine(probe(path)) == Scan()
    flagged = write(tmp_path / "page.mkv", [page()[n:][:HEIGHT] for n in range(50)], "tff")
    assert examine(probe(flagged)) == Scan()  # the flags of a screen that is broadcast


def test_a_pattern_that_crawls_is_progressive(tmp_path: Path) -> None:
    assert examine(probe(write(tmp_path / "pattern.mkv", crawl(60), None))) == Scan()


@pytest.mark.parametrize("lines", [1, 2])
def test_credits_that_scroll_in_fields_are_found(lines: int, tmp_path: Path) -> None:
    """They move by as many lines from field to field."""
    paper = page()
    frames = []
    for n in range(50):
        frame = paper[2 * n * lines :][:HEIGHT].copy()
        frame[1::2] = paper[(2 * n + 1) * lines :][:HEIGHT][1::2]
        frames.append(frame)
    assert examine(probe(write(tmp_path / "credits.mkv", frames, None))).is_interlaced


def test_fields_in_both_orders_are_none() -> None:
    counts = _Counts()
    counts.add(_Counts(frames=100, moving=90, tff=50, bff=40))
    assert counts.verdict() == Scan()
    counts = _Counts()
    counts.add(_Counts(frames=100, moving=90, tff=85, bff=5))
    assert counts.verdict() == Scan("tff")
    counts = _Counts()
    counts.add(_Counts(frames=100, flagged=100, moving=90, tff=50, bff=40))
    assert counts.verdict() == Scan("tff", True)
