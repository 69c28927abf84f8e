"""What will be made of the jobs that wait."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.errors import BadInput, Transient
from flashvsr.files.trees import Trees
from flashvsr.jobs.forecasts import forecast_of
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset, load_preset
from flashvsr.upscaling.forecast import Forecast
from flashvsr.worker import foresight
from flashvsr.worker.foresight import Foresight
from kits.played import Bench
from kits.reports import FORECAST
from kits.waiting import wait_while_it_gets_on


class Looked:
    """The looks at files, each with its answer."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.presets: list[Preset] = []
        self.forced: list[bool] = []
        self.error: Exception | None = None

    def __call__(self, source: Path, preset: Preset, _config: Config, force: bool) -> Forecast:
        self.files.append(source.name)
        self.presets.append(preset)
        self.forced.append(force)
        if self.error is not None:
            raise self.error
        return replace(FORECAST, frames=len(self.files))


@pytest.fixture
def looked(bench: Bench) -> Looked:
    (bench.inbox / "preset.toml").write_text("seed = 3\n")
    bench.upscaling.forecast = looked = Looked()
    return looked


@pytest.fixture
def thread(bench: Bench, looked: Looked) -> Foresight:
    return Foresight(bench.queue, lambda: bench.config, bench.upscaling)  # type: ignore[arg-type]


def test_each_waiting_job_is_looked_at_once(bench: Bench, looked: Looked, thread: Foresight) -> None:
    first, second = bench.add("a.mov"), bench.add("b.mov")
    thread.step()
    thread.step()
    assert looked.files == ["a.mov", "b.mov"]
    assert {preset.seed for preset in looked.presets} == {3}
    found = [forecast_of(bench.job(number)) for number in (first, second)]
    assert [one["frames"] for one in found] == [1, 2]
    assert found[0]["result"] == [256, 128]


def test_another_preset_asks_for_another_look(bench: Bench, looked: Looked, thread: Foresight) -> None:
    bench.add()
    thread.step()
    (bench.inbox / "preset.toml").write_text("seed = 4\n")
    thread.step()
    thread.step()
    assert [preset.seed for preset in looked.presets] == [3, 4]


def test_a_preset_that_is_as_it_was_is_not_read_again(
    bench: Bench, looked: Looked, thread: Foresight, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def load(trees: Trees, path: Path, quality: int) -> Preset:
        read.append(path)
        return load_preset(trees, path, quality)

    monkeypatch.setattr(foresight, "load_preset", load)
    bench.add("a.mov")
    thread.step()
    bench.add("b.mov")
    thread.step()
    assert looked.files == ["a.mov", "b.mov"]
    assert read == [bench.inbox / "preset.toml"]
    (bench.inbox / "preset.toml").write_text("seed = 41\n")
    thread.step()
    assert len(read) == 2


def test_a_forced_job_is_foreseen_as_such(bench: Bench, looked: Looked, thread: Foresight) -> None:
    number = bench.add()
    thread.step()
    bench.queue.requests.cancel(number)
    bench.queue.requests.retry(number, force=True)
    thread.step()
    assert looked.forced == [False, True]


def test_what_cannot_be_done_is_foreseen(bench: Bench, looked: Looked, thread: Foresight) -> None:
    number = bench.add()
    looked.error = BadInput("no picture")
    thread.step()
    thread.step()
    assert forecast_of(bench.job(number))["refused"] == "no picture"
    assert looked.files == ["clip.mov"]
    assert bench.job(number).state == "queued", "the worker that takes it decides"


@pytest.mark.parametrize(
    "error", [Transient("the share hangs"), OSError("gone")], ids=lambda error: type(error).__name__
)
def test_what_cannot_be_looked_at_now_is_tried_later(
    error: Exception, bench: Bench, looked: Looked, thread: Foresight, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = bench.add()
    looked.error = error
    monkeypatch.setattr(foresight, "PATIENCE_SECONDS", 0.2)
    thread.step()
    thread.step()
    assert looked.files == ["clip.mov"]
    time.sleep(0.2)
    looked.error = None
    thread.step()
    assert forecast_of(bench.job(number))["frames"] == 2


@pytest.mark.parametrize("text", ["width = 1\n", None])
def test_an_inbox_without_a_right_preset_is_left_alone(
    text: str | None, bench: Bench, looked: Looked, thread: Foresight
) -> None:
    preset = bench.inbox / "preset.toml"
    bench.add()
    preset.unlink() if text is None else preset.write_text(text)
    thread.step()
    assert looked.files == []
    assert preset.exists() == (text is not None), "it is the worker that writes one"


def test_nothing_is_foreseen_of_a_job_that_has_ended(bench: Bench, looked: Looked, thread: Foresight) -> None:
    number = bench.add()
    answer = looked.__call__

    def late(source: Path, preset: Preset, config: Config, force: bool) -> Forecast:
        bench.queue.requests.cancel(number)
        return answer(source, preset, config, force)

    bench.upscaling.forecast = late
    thread.step()
    assert looked.files == ["clip.mov"]
    assert bench.job(number).forecast is None


def test_of_a_flood_the_next_ones_are_looked_at(
    bench: Bench, looked: Looked, thread: Foresight, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foresight, "LOOKED_AT", 2)
    for number in range(4):
        bench.add(f"{number}.mov")
    thread.step()
    thread.step()
    assert looked.files == ["0.mov", "1.mov"]


def test_the_thread_looks_by_itself_and_ends(
    bench: Bench, looked: Looked, thread: Foresight, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foresight, "STEP_SECONDS", 0.01)
    looked.error = Transient("not yet")
    monkeypatch.setattr(foresight, "PATIENCE_SECONDS", 0.0)
    number = bench.add()
    thread.start()
    wait_while_it_gets_on(lambda: len(looked.files) > 1, lambda: len(looked.files), "two looks", pause=0.01)
    looked.error = None
    wait_while_it_gets_on(lambda: bench.job(number).forecast, lambda: len(looked.files), "a forecast", pause=0.01)
    assert json.loads(bench.job(number).forecast)["frames"] == len(looked.files)
    thread.stop()
    thread.join(5)
    assert not thread.is_alive()
