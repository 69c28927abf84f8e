"""The main function of a worker, in this process: what it tells, when it rests, and how it ends."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import types
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flashvsr.errors import BadConfig, Damaged, NoSpace, Transient
from flashvsr.jobs.damage import EX_DAMAGED
from flashvsr.jobs.queue import Queue
from flashvsr.system import logs
from flashvsr.worker import __main__ as program
from flashvsr.worker.loop import FULL_SECONDS
from flashvsr.worker.orders import SIGNALS


class Stage:
    """A worker whose loop and upscaling are played. `steps`: what each step does, then it is asked to leave."""

    def __init__(self, root: Path) -> None:
        self.state = root / "state"
        (self.state / "jobs").mkdir(parents=True)
        self.settings = root / "flashvsr.toml"
        self.told: list[str] = []
        self.steps: list[bool | Exception] = []
        self.waits: list[float] = []
        self.broken_after: int | None = None
        self.loop: dict[str, Any] = {}
        self.wanted: tuple[signal.Signals, ...] = ()
        self.set_level("info")

    def set_level(self, level: str) -> None:
        names = ("inbox", "outbox", "state", "models")
        paths = "\n".join(f'{name} = "{self.state.with_name(name)}"' for name in names)
        self.settings.write_text(f'[paths]\n{paths}\n\n[service]\nlog_level = "{level}"\n')

    def run(self, *more: str) -> int:
        return program.main(["--config", str(self.settings), "--slot", "gpu1", "--label", "A card", *more])


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(tmp_path)

    class Signals:
        def __init__(self, wanted: tuple[signal.Signals, ...]) -> None:
            stage.wanted = wanted

        def __enter__(self) -> Signals:
            return self

        def __exit__(self, *_: object) -> None:
            stage.told.append("signals as before")

        def take(self) -> list[signal.Signals]:
            return [] if stage.steps else [signal.SIGUSR1]

        def wait(self, seconds: float) -> None:
            stage.waits.append(seconds)

    class Loop:
        def __init__(self, config: Any, queue: Queue, slot: str, label: str, upscaling: Any, *more: Any) -> None:
            orders, read_config, _rests = more
            stage.loop = {"slot": slot, "label": label, "upscaling": upscaling, "orders": orders}
            stage.loop["read"] = lambda: read_config().service.log_level
            self.taken = 0

        @property
        def broken(self) -> bool:
            return self.taken == stage.broken_after

        def step(self) -> bool:
            self.taken += 1
            done = stage.steps.pop(0)
            if isinstance(done, Exception):
                raise done
            return done

    def load() -> str:
        with closing(Queue(stage.state)) as queue:
            (worker,) = queue.workers.all()
        stage.told.append(f"{worker.slot} {worker.label} {worker.state}, of this process: {worker.pid == os.getpid()}")
        stage.told.append("loads the upscaling")
        return "the upscaling"

    entry = types.ModuleType("flashvsr.upscaling.entry")
    vars(entry)["load"] = load
    monkeypatch.setitem(sys.modules, entry.__name__, entry)
    monkeypatch.setattr("flashvsr.upscaling.entry", entry, raising=False)
    monkeypatch.setattr(program, "SignalQueue", Signals)
    monkeypatch.setattr(program, "WorkerLoop", Loop)
    monkeypatch.setattr(program, "die_with", lambda parent: stage.told.append(f"dies with {parent}"))
    monkeypatch.setattr(faulthandler, "enable", lambda: stage.told.append("tells of crashes"))
    monkeypatch.setattr(logs, "setup", lambda level: stage.told.append(f"logs {level}"))
    monkeypatch.setenv("TRITON_CACHE_DIR", "/somewhere")
    return stage


def test_it_shows_as_starting_before_what_takes_long(stage: Stage) -> None:
    stage.set_level("debug")
    assert stage.run("--parent", "4711") == 0
    assert stage.told == [
        *("dies with 4711", "tells of crashes", "logs debug"),
        *("gpu1 A card starting, of this process: True", "loads the upscaling", "signals as before"),
    ]
    assert stage.wanted == SIGNALS
    assert (stage.loop["slot"], stage.loop["label"]) == ("gpu1", "A card")
    assert stage.loop["upscaling"] == "the upscaling"


def test_it_dies_with_the_process_that_started_it_unless_told_otherwise(stage: Stage) -> None:
    stage.run()
    assert stage.told[0] == f"dies with {os.getppid()}"


def test_settings_are_read_anew_from_the_same_file(stage: Stage) -> None:
    stage.run()
    stage.set_level("warning")
    assert stage.loop["read"]() == "warning"


@pytest.mark.parametrize("before", [None, "/somewhere"])
def test_kernels_are_kept_in_the_state_directory_unless_somebody_chose_another(
    stage: Stage, before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if before is None:
        monkeypatch.delenv("TRITON_CACHE_DIR")
    stage.run()
    assert os.environ["TRITON_CACHE_DIR"] == (before or str(stage.state / "kernels"))


def test_it_rests_only_when_there_was_nothing_to_do_or_no_room(stage: Stage) -> None:
    stage.steps = [True, False, True, NoSpace("the disk is full"), True, False]
    assert stage.run() == 0
    assert stage.waits == [program.IDLE_SECONDS, FULL_SECONDS, program.IDLE_SECONDS]
    assert 0.2 <= program.IDLE_SECONDS <= 5


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Damaged("the queue database is damaged"), EX_DAMAGED),
        (BadConfig("the settings are wrong\nin two lines"), 1),
        (Transient("the database is locked"), 1),
    ],
)
def test_how_it_ends_tells_the_service_what_to_do(
    stage: Stage, error: Exception, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    stage.steps = [True, error, True]
    assert stage.run() == code
    assert len(stage.steps) == 1
    assert str(error).splitlines()[0] in caplog.text
    assert EX_DAMAGED not in (0, 1)


def test_an_error_that_is_nobodys_comes_out(stage: Stage) -> None:
    stage.steps = [ValueError("a mistake")]
    with pytest.raises(ValueError, match="a mistake"):
        stage.run()


def test_a_broken_process_takes_no_further_step(stage: Stage) -> None:
    stage.steps, stage.broken_after = [True, True, True], 2
    assert stage.run() == 1
    assert len(stage.steps) == 1


@pytest.mark.parametrize("missing", ["--slot", "--label"])
def test_it_has_a_slot_and_a_label(missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    given: dict[str, Callable[[], str]] = {"--slot": lambda: "cpu", "--label": lambda: "CPU"}
    arguments = [part for name, value in given.items() if name != missing for part in (name, value())]
    with pytest.raises(SystemExit):
        program.main(arguments)
    assert missing in capsys.readouterr().err
