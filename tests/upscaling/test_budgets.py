"""How much of the machine a job takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.errors import BadConfig
from flashvsr.model.windows import FRAMES_PER_WINDOW
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset
from flashvsr.settings.processing_tables import Gpu, Streaming
from flashvsr.system.devices import CPU
from flashvsr.upscaling import budgets
from flashvsr.upscaling.budgets import LEAST_LQ_FRAMES, lq_room, own_threads, room_needed, waiting_batches
from flashvsr.video.digests import DIGITS
from flashvsr.video.geometry import plan
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
    assert waiting_batches(FRAMES_PER_WINDOW, plan(1920, 1080, Preset(width=width)), deep=deep) == batches


def test_finished_chunks_need_their_room_no_more(tmp_path: Path) -> None:
    info = clip_info("bigbuckbunny.mp4")
    how = (tmp_path, tmp_path / "out", 5, info, plan(info.width, info.height, Preset(width=640)), Config().preprocess)
    ((_, all_of_it), result) = room_needed(*how)
    assert result == (tmp_path / "out", all_of_it)
    (tmp_path / f"chunk-000000000-000008-7000-{'0' * DIGITS}.nut").write_bytes(bytes(1000))
    assert room_needed(*how) == [(tmp_path, all_of_it - 1000), result], "the result is written as a whole"
