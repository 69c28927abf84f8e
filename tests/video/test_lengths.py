"""Lengths that containers make up: they are not believed, and true ones are."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import SourceLimits
from flashvsr.video.limits import Limits as FileLimits
from flashvsr.video.probe import probe
from kits.chain import Watching, chain
from kits.videos import ALL_CLIPS, FRAME_COUNTS, numbered, write_video

NINE_DAYS = 9 * 86400
GIB = 1 << 30
W, H = 64, 48
STILL = numbered(5, W, H)


def film(path: Path, count: int, **how: Any) -> Path:
    return write_video(path, [STILL] * count, options={"preset": "ultrafast", "g": "50"}, **how)


def tell(path: Path, seconds: float) -> Path:
    """Have a Matroska, MP4 or AVI file say that it is so long, all else as it is."""
    data = bytearray(path.read_bytes())
    if path.suffix == ".mkv":
        at = data.index(b"\x44\x89\x88")
        struct.pack_into(">d", data, at + 3, seconds * 1000)
    elif path.suffix == ".mp4":
        for name, clock, length in ((b"mvhd", 16, 20), (b"tkhd", None, 24), (b"mdhd", 16, 20)):
            at = data.index(name)
            (ticks,) = struct.unpack_from(">I", data, at + clock) if clock else (1000,)
            struct.pack_into(">I", data, at + length, min(2**32 - 1, int(seconds * ticks)))
    else:
        for name, length in ((b"avih", 24), (b"strh", 40)):
            struct.pack_into("<I", data, data.index(name) + length, int(seconds * 25))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi"])
def test_nine_days_for_ten_frames(suffix: str, tmp_path: Path) -> None:
    path = tell(film(tmp_path / f"a{suffix}", 10), NINE_DAYS)
    assert probe(path).frame_count == 10
    assert probe(path, FileLimits(frames=10)).frame_count == 10, "it is not refused as too long"


@pytest.mark.parametrize("suffix", [".mkv", ".avi"])
def test_nine_days_for_more_frames_than_one_counts(suffix: str, tmp_path: Path) -> None:
    path = tell(film(tmp_path / f"a{suffix}", 600), NINE_DAYS)
    assert probe(path).frame_count in (None, 600)  # FFmpeg corrects some of it
    assert probe(path, FileLimits(frames=600)).frame_count in (None, 600)


def test_parts_twenty_hours_apart(tmp_path: Path) -> None:
    times = [n + (20 * 3600 * 25 if n >= 300 else 0) for n in range(600)]
    path = film(tmp_path / "a.mkv", 600, times=times, time_base=Fraction(1, 25))
    assert probe(path).duration == pytest.approx(20 * 3600, rel=0.01)
    assert probe(path).frame_count is None


def test_joined_recordings_are_counted(tmp_path: Path) -> None:
    parts = []
    for number, start in enumerate((0, 20 * 3600 * 25)):
        times = [start + n for n in range(80)]
        parts.append(film(tmp_path / f"{number}.ts", 80, times=times, time_base=Fraction(1, 25)).read_bytes())
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(parts))
    assert probe(path).frame_count == 160


@pytest.mark.parametrize("suffix", [".mkv", ".avi"])
def test_more_frames_than_told(suffix: str, tmp_path: Path) -> None:
    path = tell(film(tmp_path / f"a{suffix}", 600), 1.0)
    assert probe(path).frame_count in (None, 600)


@pytest.mark.parametrize("clip", ALL_CLIPS, ids=lambda path: path.name)
def test_true_lengths_are_kept(clip: Path) -> None:
    assert probe(clip).frame_count == pytest.approx(FRAME_COUNTS[clip.name], abs=4)


def test_a_beginning_unlike_the_rest(tmp_path: Path) -> None:
    """Noise, and then a still for ten times as long: a small file, and all the frames that it says."""
    noise = np.random.default_rng(1).integers(0, 255, (260, H, W, 3), np.uint8)
    path = write_video(
        tmp_path / "a.mkv", [*noise, *[STILL] * 6000], options={"preset": "ultrafast", "g": "50", "qp": "10"}
    )
    assert probe(path).frame_count == pytest.approx(6260, abs=2)


def test_sound_for_much_longer_than_the_picture(tmp_path: Path) -> None:
    sound = np.zeros((1, 48000 * 200), np.float32)
    path = film(tmp_path / "a.mkv", 40, audio=sound, audio_codec="libopus")
    count = probe(path).frame_count
    assert count is None or count == 40


class Listening(Watching):
    def __init__(self) -> None:
        super().__init__()
        self.totals: list[tuple[int, int | None]] = []

    def progress(self, done: int, total: int | None, fps: float) -> None:
        super().progress(done, total, fps)
        self.totals.append((done, total))


def gap(path: Path) -> Path:
    times = [n + (20 * 3600 * 25 if n >= 260 else 0) for n in range(270)]
    return film(path, 270, times=times, time_base=Fraction(1, 25))


@pytest.mark.parametrize(
    ("make", "frames"),
    [
        (lambda path: tell(film(path, 10), NINE_DAYS), 10),
        (lambda path: tell(film(path, 300), NINE_DAYS), 300),
        (lambda path: tell(film(path, 300), 1.0), 300),
        (gap, 270),
    ],
    ids=["ten frames", "some frames", "too short", "gap"],
)
def test_a_job_asks_for_the_room_of_a_good_while_at_most(
    make: Callable[[Path], Path], frames: int, tmp_path: Path
) -> None:
    control = Listening()
    settings = Config(limits=SourceLimits(frames=1000))
    report = chain(make(tmp_path / "a.mkv"), tmp_path, settings, control)
    assert report.frames == frames
    assert sum(size for _, size in control.needs) < GIB // 10
    assert all(total is None or done <= total <= 1.2 * frames for done, total in control.totals)
    assert control.totals[-1] == (frames, frames)
