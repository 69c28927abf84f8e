from __future__ import annotations

import itertools
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from flashvsr.errors import BadInput
from flashvsr.video.decode import DecodeOptions, decode, output_grid
from flashvsr.video.probe import probe
from kits.paths import CLIPS
from kits.videos import FRAME_COUNTS, clip_info, number_of, numbered, write_video


def test_starting_late_gives_the_same_frames_and_times(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "film.mkv", [numbered(n) for n in range(60)], Fraction(24000, 1001), options={"bf": "3"}
    )
    info = probe(path)
    assert info.frame_rate == Fraction(24000, 1001)
    whole = list(decode(info, (128, 128)))
    assert [number_of(frame.rgb) for frame in whole] == list(range(60))
    grid = output_grid(info)
    assert [frame.pts for frame in whole] == [n * grid.step for n in range(60)]
    late = list(decode(info, (128, 128), DecodeOptions(first_frame=37)))
    assert [(f.index, f.time, f.pts) for f in late] == [(f.index, f.time, f.pts) for f in whole[37:]]
    assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(late, whole[37:], strict=True))


@pytest.mark.parametrize("count", [1, 2, 5, 25])
def test_short_videos_come_out_whole(count: int, tmp_path: Path) -> None:
    path = write_video(tmp_path / "short.mp4", [numbered(n) for n in range(count)])
    assert [number_of(f.rgb) for f in decode(probe(path), (128, 128))] == list(range(count))


def test_odd_sizes(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "odd.mkv", [numbered(n, 161, 97) for n in range(3)], codec="ffv1", pixel_format="yuv444p"
    )
    info = probe(path)
    assert (info.width, info.height) == (161, 97)
    frames = list(decode(info, (162, 98)))
    assert [number_of(frame.rgb) for frame in frames] == [0, 1, 2]
    assert all(frame.rgb.shape == (98, 162, 3) and frame.rgb.flags.c_contiguous for frame in frames)


def test_a_size_that_changes_on_the_way(tmp_path: Path) -> None:
    parts = [
        write_video(
            tmp_path / f"{width}.ts", [numbered(n, width, width) for n in range(6)], options={"bf": "0"}
        ).read_bytes()
        for width in (128, 256)
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts))
    decoder = decode(probe(path), (128, 128))
    frames = list(decoder)
    assert [number_of(frame.rgb) for frame in frames] == [*range(6), *range(6)]
    assert all(b.time > a.time for a, b in itertools.pairwise(frames))


@pytest.mark.parametrize("name", ["bigbuckbunny.mp4", "movie-hello.mpeg", "face_noface.mov", "ocean.webm"])
def test_a_damaged_middle_raises_nothing(name: str, tmp_path: Path) -> None:
    data = bytearray((CLIPS / name).read_bytes())
    chance = random.Random(1)
    for _ in range(12):
        at = chance.randrange(len(data) // 3, len(data) * 2 // 3)
        data[at : at + 400] = chance.randbytes(400)
    path = tmp_path / name
    path.write_bytes(data)
    decoder = decode(probe(path), (64, 64))
    frames = list(decoder)
    assert FRAME_COUNTS[name] * 0.4 < len(frames) <= FRAME_COUNTS[name]
    assert all(b.time > a.time for a, b in itertools.pairwise(frames))


def test_damage_is_reported(tmp_path: Path) -> None:
    data = bytearray((CLIPS / "movie-hello.mpeg").read_bytes())
    at = len(data) // 2
    data[at : at + 20_000] = bytes(20_000)
    path = tmp_path / "tape.mpeg"
    path.write_bytes(data)
    decoder = decode(probe(path), (64, 64))
    assert 5 < len(list(decoder)) < FRAME_COUNTS["movie-hello.mpeg"]
    assert decoder.damaged > 0
    assert "missing or faulty" in decoder.warnings[0]


def test_a_truncated_file_gives_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "half.mpeg"
    path.write_bytes((CLIPS / "movie-hello.mpeg").read_bytes()[:80_000])
    assert 5 < len(list(decode(probe(path), (64, 64)))) < FRAME_COUNTS["movie-hello.mpeg"]


def test_a_source_that_was_replaced_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes((CLIPS / "carphone_pristine.mp4").read_bytes())
    info = probe(path)
    path.write_text("gone")
    with pytest.raises(BadInput):
        list(decode(info, (64, 64)))


def test_closing_early_closes_the_file() -> None:
    decoder = decode(clip_info("bigbuckbunny.mp4"), (64, 64))
    next(iter(decoder))
    decoder.close()
    assert list(decoder) == []
