"""The stages of a stream: each is found, nothing is counted twice, and the stream is left as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from flashvsr.bench.random_model import random_model
from flashvsr.bench.speed import LEAST_FRAMES, STAGE_WINDOWS, measure_rate, measure_stages
from flashvsr.bench.stage_watch import StageWatch
from flashvsr.cli import LEAST_SPEED_FRAMES
from flashvsr.model.attention import WindowContext
from flashvsr.model.stages import Stages, plain_stages
from flashvsr.model.stream import Stream, StreamSpec
from flashvsr.model.windows import Window, window
from flashvsr.upscaling.engine import Engine
from kits.speed import SIZE, SMALL

CPU = torch.device("cpu")
PAUSE = 0.02


@pytest.fixture
def played_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time that only pauses take: however busy the machine is, it is none of the watch's."""
    now = [1000.0]

    def pause(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(time, "sleep", pause)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])


class Slow:
    """A stage that takes a known time, and hands on what it is given; `name`: for what it is said to be."""

    device, layers = CPU, range(2)

    def __init__(self, pauses: int) -> None:
        self.pauses = pauses

    def _pause(self) -> None:
        time.sleep(self.pauses * PAUSE)

    def start(self, _frame: Tensor) -> None:
        self._pause()

    def begin(self, _step: Window) -> WindowContext:
        return WindowContext(*4 * [torch.zeros(1)])


class SlowProject(Slow):
    def __call__(self, _frames: Tensor) -> list[Tensor]:
        self._pause()
        return []


class SlowEmbed(Slow):
    def upload(self, noise: Tensor) -> Tensor:
        return noise

    def __call__(self, noise: Tensor) -> tuple[Tensor]:
        self._pause()
        return (noise,)


class SlowLayers(Slow):
    def __call__(self, hidden: tuple[Tensor], *_: object) -> tuple[Tensor]:
        self._pause()
        return hidden


class SlowHead(Slow):
    def __call__(self, hidden: tuple[Tensor], _noise: Tensor) -> Tensor:
        self._pause()
        return hidden[0]


class SlowDecode(Slow):
    def __call__(self, _latents: Tensor, condition: Tensor) -> Iterator[Tensor]:
        for part in condition.split(4, dim=1):
            self._pause()
            yield part


def slow_stages(layers: int = 1) -> Stages:
    """In a window after the first: 1 pause projects, 1 embeds, 2 are in each range of layers, 1 in the head, 2 decode,
    and 6 colour.
    """

    def colour(frames: Tensor, _condition: Tensor) -> Tensor:
        time.sleep(3 * PAUSE)
        return frames

    spec = StreamSpec(*SIZE)
    parts: Any = tuple(SlowLayers(2) for _ in range(layers))
    project: Any = SlowProject(1)
    head: Any = SlowHead(1)
    decode: Any = SlowDecode(1)
    return Stages(spec, torch.float32, project, SlowEmbed(1), parts, head, decode, colour)


def one_window(stream: Stream) -> Tensor:
    lq = torch.zeros(3, 8, *SIZE)
    return stream.make(window(1), lq, lq, torch.zeros(stream.stages.spec.noise_shape(window(1))))


@pytest.mark.usefixtures("played_time")
@pytest.mark.parametrize("layers", [1, 2])
def test_each_second_counts_for_its_own_stage(layers: int) -> None:
    stream, watch = Stream(slow_stages(layers)), StageWatch(CPU)
    before = stream.stages
    with watch.watching(stream):
        one_window(stream)
        watch.reset()
        with watch.stage("download"):
            one_window(stream)
            time.sleep(PAUSE)
    assert stream.stages is before
    one_window(stream)  # no longer watched
    seconds = watch.seconds()
    whole = 12 + 2 * layers
    shares = {name: value / sum(seconds.values()) for name, value in seconds.items()}
    expected = {"project": 1, "head": 2, "layers": 2 * layers, "decode": 2, "colour": 6, "download": 1}
    assert shares == pytest.approx({name: value / whole for name, value in expected.items()})


@pytest.mark.usefixtures("played_time")
def test_the_first_frame_counts_for_the_projection() -> None:
    stream, watch = Stream(slow_stages()), StageWatch(CPU)
    with watch.watching(stream):
        stream.stages.project.start(torch.zeros(3, 1, *SIZE))
    assert watch.seconds()["project"] > 0.95 * PAUSE


def test_watched_stages_make_the_same_frames() -> None:
    model = random_model("cpu", torch.float32, SMALL)
    frames = list(torch.rand(3, 30, *SIZE, generator=torch.Generator().manual_seed(1)).unbind(1))
    plain, stream = (Stream(plain_stages(model, StreamSpec(*SIZE))) for _ in range(2))
    with torch.inference_mode(), StageWatch(CPU).watching(stream):
        found = torch.cat(list(stream.run(frames)), dim=1)
        assert torch.equal(found, torch.cat(list(plain.run(frames)), dim=1))


def test_a_real_stream_shows_all_its_stages() -> None:
    engine = Engine(random_model("cpu", torch.float32, SMALL), "random", "CPU")
    stages = measure_stages(engine, SIZE)
    assert set(stages) == {"upload", "project", "layers", "head", "decode", "colour", "download", "rest"}
    assert all(seconds > 0 for name, seconds in stages.items() if name != "rest")


class Counted(SlowLayers):
    """Layers that make nothing of their tokens, window by window, and take their time for each."""

    def __init__(self) -> None:
        super().__init__(1)
        self.windows = 0

    def __call__(self, hidden: tuple[Tensor], *_: object) -> tuple[Tensor]:
        self.windows += 1
        return super().__call__(hidden)


@dataclass
class CountedEngine:
    """Hands the one stream out."""

    counted: Counted
    device: torch.device = CPU
    records: bool = True

    def stream(self, *_: object) -> Stream:
        quick: dict[str, Any] = {
            "project": SlowProject(0),
            "embed": SlowEmbed(0),
            "head": SlowHead(0),
            "decode": SlowDecode(0),
        }
        layers: Any = (self.counted,)
        stages = replace(slow_stages(), layers=layers, colour=lambda frames, _condition: frames, **quick)
        return Stream(stages)


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


@pytest.mark.slow
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
