"""Lengths that containers make up: they are not believed, and true ones are."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain as chain_of
from itertools import count, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from av.error import InvalidDataError

from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import SourceLimits
from flashvsr.video.lengths import Beginning, credible_count
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


@pytest.mark.slow
def test_a_beginning_unlike_the_rest(tmp_path: Path) -> None:
    """Noise, and then a still for ten times as long: a small file, and all the frames that it says."""
    noise = np.random.default_rng(1).integers(0, 255, (260, H, W, 3), np.uint8)
    path = write_video(
        tmp_path / "a.mkv", [*noise, *[STILL] * 6000], options={"preset": "ultrafast", "g": "50", "qp": "10"}
    )
    assert probe(path).frame_count == pytest.approx(6260, abs=2)


@pytest.mark.slow
def test_sound_for_much_longer_than_the_picture(tmp_path: Path) -> None:
    sound = np.zeros((1, 48000 * 110), np.float32)  # more packets than are looked at
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


@pytest.mark.slow
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


class Film:
    """A container with a picture track of 25 frames a second, and places where a packet is found; None is a failure."""

    def __init__(self, found: list[float | None], start: float = 0.0) -> None:
        self._found = iter(found)
        self.sought: list[float] = []
        self.stream: Any = SimpleNamespace(time_base=Fraction(1, 1000), start_time=round(start * 1000), index=0)

    def seek(self, moment: int) -> None:
        self.sought.append(moment / av.time_base)
        self._next = next(self._found)
        if self._next is None:
            raise InvalidDataError(1, "no such place")

    def demux(self, *_: object) -> Iterator[Any]:
        assert self._next is not None
        yield SimpleNamespace(size=1, pts=None, dts=None)
        yield SimpleNamespace(size=1, pts=round(self._next * 1000), dts=0)


def believed(found: list[float | None], seconds: float, start: float = 0.0) -> bool:
    """Whether many more frames than the beginning promises are, where packets are found there."""
    film: Any = Film(found, start)
    first = [SimpleNamespace(size=1000, stream_index=0)] * 250
    beginning = Beginning(chain_of(first, repeat(first[0])), 0)  # type: ignore[arg-type]
    count = credible_count(1_000_000, seconds, beginning, film, film.stream, Path(__file__))
    assert film.sought == [pytest.approx(start + part * seconds) for part in (0.25, 0.5, 0.75)][: len(film.sought)]
    return count == 1_000_000


@pytest.mark.parametrize(
    ("found", "seconds", "start", "expected"),
    [
        ([25, 50, 75], 100, 0, True),
        ([525, 550, 575], 100, 500, True),
        ([25, 50, 75], 100, 500, False),
        ([25, 50, 106], 100, 0, False),
        ([56, 50, 75], 100, 0, False),
        ([25, 81, 75], 100, 0, False),
        ([55, 20, 105], 100, 0, True),
        ([25, None, 75], 100, 0, False),
        ([2500, 5000, 7699], 10_000, 0, True),
        ([2500, 5000, 7701], 10_000, 0, False),
    ],
)
def test_frames_all_over_the_length(found: list[float | None], seconds: float, start: float, expected: bool) -> None:
    """Thirty seconds away from each place at most, or a fiftieth of the length."""
    assert believed(found, seconds, start) is expected


@pytest.mark.parametrize(
    ("frames", "claimed", "expected"),
    [(4, 5, 5), (4, 6, 4), (4, 3, 3), (100, 111, 111), (100, 112, 100), (100, 89, 89), (100, 88, 100), (0, 1, 1)],
)
def test_how_far_off_a_count_of_a_whole_file_may_be(frames: int, claimed: int, expected: int) -> None:
    """A tenth, and one: some packets hold no frame, or two."""
    film: Any = Film([])
    beginning = Beginning([SimpleNamespace(size=10, stream_index=0)] * frames, 0)  # type: ignore[list-item]
    assert credible_count(claimed, 1.0, beginning, film, film.stream, Path(__file__)) == expected


@pytest.mark.parametrize(("size", "stream", "read"), [(10, 0, 250), (10, 1, 5000), (1 << 20, 1, 8), (1 << 19, 0, 16)])
def test_how_much_of_a_file_is_looked_at(size: int, stream: int, read: int) -> None:
    """So many frames, packets or bytes, whichever comes first."""
    given = iter(range(10_000))
    beginning = Beginning((SimpleNamespace(size=size, stream_index=stream) for _ in given), 0)  # type: ignore[misc]
    promised = beginning.promised(1000 * read * size)
    assert next(given) == read
    assert not beginning.is_all
    assert promised == (1000 * read if stream == 0 else 0)


@pytest.mark.parametrize(("claimed", "expected"), [(249, None), (250, 250), (8 * 250, 2000), (8 * 250 + 1, None)])
def test_what_a_beginning_promises(claimed: int, expected: int | None, tmp_path: Path) -> None:
    """Eight times as much is believed without a look."""
    path = tmp_path / "a"
    path.write_bytes(bytes(2500))
    film: Any = Film([None])
    beginning = Beginning((SimpleNamespace(size=10, stream_index=0) for _ in count(0)), 0)  # type: ignore[misc]
    assert credible_count(claimed, 1.0, beginning, film, film.stream, path) == expected
