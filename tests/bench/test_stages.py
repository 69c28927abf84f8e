"""The stages of a stream: each is found, nothing is counted twice, and the stream is left as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from flashvsr.bench.random_model import random_model
from flashvsr.bench.speed import LEAST_FRAMES, STAGE_WINDOWS, measure_rate, measure_stages
from flashvsr.bench.stages import StageWatch
from flashvsr.cli import LEAST_SPEED_FRAMES
from flashvsr.model.windows import window
from flashvsr.upscaling.engine import Engine
from kits.speed import SIZE, SMALL

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("one_thread")
PAUSE = 0.02


class Slow:
    """Stages that take a known time each."""

    def __init__(self) -> None:
        self.network = nn.Identity()
        self.network.register_forward_hook(lambda *_: time.sleep(PAUSE))

    def project(self) -> None:
        time.sleep(PAUSE)

    def denoise(self) -> None:
        self.project()
        time.sleep(3 * PAUSE)
        self.layers()

    def layers(self) -> None:
        time.sleep(2 * PAUSE)

    def decode(self) -> None:
        self.network(torch.zeros(1))
        time.sleep(2 * PAUSE)


def test_each_second_counts_for_the_innermost_stage() -> None:
    stream, watch = Slow(), StageWatch(CPU)
    with watch.watching(stream, nn.Identity()):
        stream.denoise()
        watch.reset()
        with watch.stage("download"):
            stream.denoise()
            time.sleep(PAUSE)
    stream.denoise()  # no longer watched
    seconds = watch.seconds()
    assert set(seconds) == {"project", "layers", "head", "download"}
    shares = {name: value / sum(seconds.values()) for name, value in seconds.items()}
    assert shares == pytest.approx({"project": 1 / 7, "layers": 2 / 7, "head": 3 / 7, "download": 1 / 7}, abs=0.08)


def test_the_decoders_layers_are_told_from_the_colour() -> None:
    stream, watch = Slow(), StageWatch(CPU)
    with watch.watching(stream, stream.network):
        stream.decode()
    seconds = watch.seconds()
    assert set(seconds) == {"decode", "colour"}
    assert seconds["colour"] > 1.9 * PAUSE


def test_stages_that_run_as_one_are_shown_as_one() -> None:
    class Whole:
        def denoise(self) -> None:
            time.sleep(PAUSE)

    stream, watch = Whole(), StageWatch(CPU)
    with watch.watching(stream, nn.Identity()):
        stream.denoise()
    assert set(watch.seconds()) == {"denoise"}


def test_a_real_stream_shows_all_its_stages() -> None:
    engine = Engine(random_model("cpu", torch.float32, SMALL), "random", "CPU")
    stages = measure_stages(engine, SIZE)
    assert set(stages) == {"upload", "project", "layers", "head", "decode", "colour", "download", "rest"}
    assert all(seconds > 0 for name, seconds in stages.items() if name != "rest")
    assert not engine.model.decoder._forward_hooks


class Counted:
    """A stream that makes nothing of its frames, window by window, and takes its time for each."""

    def __init__(self) -> None:
        self.windows = 0

    def run(self, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        for step in map(window, count()):
            taken = list(islice(frames, step.lq[1] - step.lq[0]))
            if not taken:
                return
            yield self.layers(taken[0][:, None].expand(-1, step.output[1] - step.output[0], -1, -1))

    def layers(self, x: Tensor) -> Tensor:
        self.windows += 1
        time.sleep(PAUSE)
        return x


@dataclass
class CountedEngine:
    """Hands the one stream out."""

    counted: Counted
    device: torch.device = CPU
    model: Any = field(default_factory=lambda: SimpleNamespace(decoder=nn.Identity()))
    records: bool = True

    def stream(self, *_: object) -> Counted:
        return self.counted


def counted() -> tuple[Any, Counted]:
    stream = Counted()
    return CountedEngine(stream), stream


def test_as_many_windows_are_computed_as_are_counted() -> None:
    engine, stream = counted()
    stages = measure_stages(engine, SIZE)
    assert stream.windows == STAGE_WINDOWS + 3  # the first two, and the one that had begun already
    assert stages["layers"] > 0.95 * PAUSE


def test_in_each_time_lies_a_whole_window() -> None:
    engine, _ = counted()
    rate, _ = measure_rate(engine, SIZE, LEAST_FRAMES + 20, lambda _done: None)
    assert min(rate.first, rate.second, *rate.windows) > 0.95 * PAUSE


@pytest.mark.parametrize(("frames", "windows"), [(LEAST_FRAMES, 2), (LEAST_FRAMES + 1, 3), (LEAST_FRAMES + 8, 3)])
def test_only_whole_windows_are_timed(frames: int, windows: int) -> None:
    engine = Engine(random_model("cpu", torch.float32, SMALL), "random", "CPU")
    done: list[int] = []
    rate, memory = measure_rate(engine, SIZE, frames, done.append)
    assert done[-1] == frames
    assert len(rate.windows) == windows
    assert min(rate.first, rate.second) > 0
    assert min(rate.windows) <= rate.median <= max(rate.windows)
    assert (memory.allocated, memory.reserved) == (None, None)
    assert memory.host > 0


def test_the_command_asks_for_as_many_frames_as_are_needed() -> None:
    assert LEAST_SPEED_FRAMES == LEAST_FRAMES
