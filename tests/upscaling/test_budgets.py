"""How much of the machine a job takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.errors import BadConfig
from flashvsr.files.space import bytes_at_crf, expected_bytes
from flashvsr.model.windows import FRAMES_PER_WINDOW
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset
from flashvsr.settings.processing_tables import Chunks, Gpu, Preprocess, Streaming
from flashvsr.system.devices import CPU
from flashvsr.upscaling import budgets
from flashvsr.upscaling.budgets import (
    GOOD_WHILE,
    LEAST_LQ_FRAMES,
    chunk_frames,
    lq_room,
    own_threads,
    room_needed,
    waiting_batches,
)
from flashvsr.video.digests import DIGITS
from flashvsr.video.geometry import plan
from flashvsr.video.normalise import name_for
from kits.videos import clip_info


@pytest.fixture(autouse=True)
def nobody_asked_yet() -> Iterator[None]:
    budgets._workers.cache_clear()
    yield
    budgets._workers.cache_clear()


def test_the_driver_is_asked_once_for_many_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def discover(*settings: object) -> tuple[object, ...]:
        asked.append(settings)
        return (CPU, CPU)

    monkeypatch.setattr(budgets, "discover", discover)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(16))
    assert [own_threads(Config()) for _ in range(3)] == [6, 6, 6]
    assert asked == [("auto", 0, {})]
    own_threads(Config(gpu=Gpu(max_concurrent=1)))
    assert len(asked) == 2, "other settings are another question"


def test_gpus_that_are_not_here_leave_the_machine_to_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    def discover(*_: object) -> tuple[object, ...]:
        raise BadConfig("gpu.devices names 7, but no GPU is found here")

    monkeypatch.setattr(budgets, "discover", discover)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(16))
    assert own_threads(Config()) == 12


@pytest.mark.parametrize(
    ("asked", "room", "warns"), [(0, LEAST_LQ_FRAMES, False), (1000, LEAST_LQ_FRAMES, True), (1 << 30, 1553, False)]
)
def test_room_for_decoded_frames(asked: int, room: int, warns: bool) -> None:
    config = Config(streaming=Streaming(lq_max_bytes=asked, prefetch_frames=8))
    info = clip_info("bigbuckbunny.mp4")
    geometry = plan(info.width, info.height, Preset(width=640))
    frame = geometry.scaled[0] * geometry.scaled[1] * 3
    found, warning = lq_room(config, info, geometry)
    assert found == (room if room == LEAST_LQ_FRAMES else asked // frame)
    assert (warning is not None) == warns
    if warning is not None:
        assert warning.startswith(f"streaming.lq_max_bytes = {asked} holds fewer than {room} frames of 640x")
        assert f"{room * frame} bytes are used" in warning
    more = replace(config, streaming=replace(config.streaming, prefetch_frames=4000))
    assert lq_room(more, info, geometry)[0] == 4000


@pytest.mark.parametrize(
    ("width", "deep", "batches"), [(480, False, 6), (960, False, 6), (960, True, 4), (1920, False, 3)]
)
def test_fewer_windows_wait_where_they_are_large(width: int, deep: bool, batches: int) -> None:
    assert waiting_batches(FRAMES_PER_WINDOW, plan(1920, 1080, Preset(width=width, fit="crop")), deep=deep) == batches


def test_finished_chunks_need_their_room_no_more(tmp_path: Path) -> None:
    info = clip_info("bigbuckbunny.mp4")
    how = (tmp_path, tmp_path / "out", 5, info, plan(info.width, info.height, Preset(width=640)), Config().preprocess)
    ((_, all_of_it), result) = room_needed(*how)
    assert result == (tmp_path / "out", all_of_it)
    (tmp_path / f"chunk-000000000-000008-7000-{'0' * DIGITS}.nut").write_bytes(bytes(1000))
    assert room_needed(*how) == [(tmp_path, all_of_it - 1000), result], "the result is written as a whole"


def chunk(folder: Path, first: int, frames: int, size: int) -> Path:
    path = folder / f"chunk-{first:09d}-{frames:06d}-7000-{'0' * DIGITS}.nut"
    path.write_bytes(bytes(size))
    return path


def test_a_length_that_nobody_knows_is_a_good_while_from_here_on(tmp_path: Path) -> None:
    info = replace(clip_info("bigbuckbunny.mp4"), frame_count=None)
    geometry = plan(info.width, info.height, Preset(width=640))
    chunk(tmp_path, 0, 8, 1000)
    chunk(tmp_path, 8, 500, 3000)
    whole = expected_bytes(*geometry.output, 508 + GOOD_WHILE, 5)
    needs = room_needed(tmp_path, tmp_path / "out", 5, info, geometry, Preprocess())
    assert needs == [(tmp_path, whole - 4000), (tmp_path / "out", whole)]


def test_what_takes_more_than_expected_gives_nobody_else_room(tmp_path: Path) -> None:
    info = clip_info("bigbuckbunny.mp4")
    geometry = plan(info.width, info.height, Preset(width=128))
    for path in (chunk(tmp_path, 0, 8, 0), tmp_path / name_for("0" * 16)):
        with path.open("wb") as large:
            large.truncate(1 << 40)
    needs = room_needed(tmp_path, tmp_path / "out", 5, info, geometry, Preprocess(mode="file"))
    assert [size for _, size in needs[::2]] == [0, 0]


@pytest.mark.parametrize(("codec", "crf"), [("libx264", 31), ("libx265", 31), ("h264_nvenc", 12), ("hevc_nvenc", 12)])
def test_a_normalised_file_is_of_the_size_that_is_decoded(codec: str, crf: int, tmp_path: Path) -> None:
    info = clip_info("bigbuckbunny.mp4")
    geometry = plan(info.width, info.height, Preset(width=640))
    how = Preprocess(mode="file", video_codec=codec, crf=31, nvenc_cq=12)
    assert info.frame_count is not None
    expected = bytes_at_crf(*geometry.scaled, info.frame_count, crf)
    *_, made = room_needed(tmp_path, tmp_path / "out", 5, info, geometry, how)
    assert made == (tmp_path, expected)
    (tmp_path / name_for("0" * 16)).write_bytes(bytes(1000))
    *_, made = room_needed(tmp_path, tmp_path / "out", 5, info, geometry, how)
    assert made == (tmp_path, expected - 1000)


def test_a_cropped_result_takes_the_room_of_what_is_left_of_it(tmp_path: Path) -> None:
    info = clip_info("bigbuckbunny.mp4")
    assert info.frame_count is not None
    for fit in ("pad", "crop"):
        geometry = plan(info.width, info.height, Preset(width=640, fit=fit))
        (_, size), _ = room_needed(tmp_path, tmp_path, 5, info, geometry, Preprocess())
        assert size == expected_bytes(*geometry.output, info.frame_count, 5)


@pytest.mark.parametrize(("frames", "in_one"), [(239, True), (240, True), (241, False), (None, False)])
def test_up_to_how_many_frames_a_chunk_is_all(frames: int | None, in_one: bool) -> None:
    info = replace(clip_info("bigbuckbunny.mp4"), frame_count=frames)
    assert chunk_frames(Config(chunks=Chunks(size=60, min_frames=240)), info) == (0 if in_one else 60)


@pytest.mark.parametrize("deep", [False, True])
def test_frames_of_sixteen_bits_take_twice_the_room(deep: bool) -> None:
    """Just enough for the least there is room for is enough."""
    info = replace(clip_info("bigbuckbunny.mp4"), bits=10 if deep else 8)
    geometry = plan(info.width, info.height, Preset(width=640))
    frame = geometry.scaled[0] * geometry.scaled[1] * 3 * (2 if deep else 1)
    for asked, room in ((100 * frame, 100), (100 * frame - 1, 99), (LEAST_LQ_FRAMES * frame, LEAST_LQ_FRAMES)):
        assert lq_room(Config(streaming=Streaming(lq_max_bytes=asked)), info, geometry) == (room, None)
    few = LEAST_LQ_FRAMES * frame - 1
    room, warning = lq_room(Config(streaming=Streaming(lq_max_bytes=few)), info, geometry)
    assert room == LEAST_LQ_FRAMES
    assert f"; {LEAST_LQ_FRAMES * frame} bytes are used" in str(warning)
