"""The stages of a stream: each is found, nothing is counted twice, and the stream is left as it was."""

from __future__ import annotations

import time

import pytest
import torch
from speed_kit import SIZE, SMALL
from torch import nn

from flashvsr.bench.random_model import random_model
from flashvsr.bench.speed import LEAST_FRAMES, measure_rate, measure_stages
from flashvsr.bench.stages import StageWatch
from flashvsr.cli import LEAST_SPEED_FRAMES
from flashvsr.worker.engine import Engine

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


@pytest.mark.parametrize("frames", [LEAST_FRAMES, LEAST_FRAMES + 3])
def test_only_whole_windows_are_timed(frames: int) -> None:
    engine = Engine(random_model("cpu", torch.float32, SMALL), "random", "CPU")
    done: list[int] = []
    rate, memory = measure_rate(engine, SIZE, frames, done.append)
    assert done[-1] == frames
    assert len(rate.windows) == 2
    assert min(rate.windows) <= rate.median <= max(rate.windows)
    assert (memory.allocated, memory.reserved) == (None, None)
    assert memory.host > 0


def test_the_command_asks_for_as_many_frames_as_are_needed() -> None:
    assert LEAST_SPEED_FRAMES == LEAST_FRAMES
