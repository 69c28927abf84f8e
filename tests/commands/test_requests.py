"""What is asked of several jobs at once: each is told of, one that cannot be done holds up no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.service.pause import Moment, PauseFile
from kits.commands import Called, called
from kits.played import Bench

Say = Callable[..., Called]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    lines = ["[paths]", *(f'{name} = "{tmp_path / name}"' for name in ("inbox", "outbox", "state", "models"))]
    (tmp_path / "flashvsr.toml").write_text("\n".join(lines) + "\n")
    for name in "abc":
        made.add(f"{name}.mov")
    return made


@pytest.fixture
def say(bench: Bench, capsys: pytest.CaptureFixture[str]) -> Say:
    return lambda *arguments: called(capsys, *arguments, "--config", bench.root / "flashvsr.toml")


def order(bench: Bench) -> list[int]:
    return [job.id for job in bench.queue.forecasts.waiting(9)]


def test_cancel_and_retry_of_several(bench: Bench, say: Say) -> None:
    done = say("cancel", "1", "77", "3", "1")
    assert (done.returncode, done.stdout) == (1, "job 1 is cancelled\njob 3 is cancelled\n")
    assert done.stderr == "flashvsr: There is no job 77; `flashvsr status` lists the jobs.\n"
    done = say("retry", "3", "2", "1")
    assert done.returncode == 1
    assert done.stdout == "job 3 waits to be done again\njob 1 waits to be done again\n"
    assert "Job 2 is waiting" in done.stderr
    assert order(bench) == [1, 2, 3]
    assert say("cancel", "1", "2").returncode == 0


def test_retry_of_all(bench: Bench, say: Say) -> None:
    assert say("retry", "--all").stdout == "no job has failed, there is nothing to do again\n"
    say("cancel", "2")
    with bench.queue.store.writing():
        for number in (1, 3):
            bench.queue.jobs.end(number, "failed", error="no picture")
    done = say("retry", "--all")
    assert (done.returncode, done.stdout) == (0, "job 1 waits to be done again\njob 3 waits to be done again\n")
    assert order(bench) == [1, 3]


@pytest.mark.parametrize("arguments", [("retry",), ("retry", "--all", "1"), ("cancel",), ("first",), ("redo",)])
def test_wrong_usage(say: Say, arguments: tuple[str, ...]) -> None:
    assert say(*arguments).returncode == 2


def test_the_one_named_first_comes_first(bench: Bench, say: Say) -> None:
    assert say("first", "3", "2", "3").stdout == "job 3 comes first\njob 2 comes next\n"
    assert order(bench) == [3, 2, 1]
    assert say("first", "1").returncode == 0
    assert order(bench) == [1, 3, 2]
    assert say("first", "77", "2").returncode == 1
    assert order(bench) == [2, 1, 3]


def test_redo(bench: Bench, say: Say) -> None:
    assert bench.loop.step()
    done = say("redo", "1", "2")
    assert done.returncode == 1
    assert done.stdout == "job 1 waits to be made again, with the preset as it is now; the earlier result stays\n"
    assert "Job 2 is waiting; only jobs that are done can be redone" in done.stderr
    assert order(bench) == [1, 2, 3]
    assert (bench.inbox / "a.mov").exists()


def test_pause_and_resume(bench: Bench, say: Say) -> None:
    file = PauseFile(bench.root / "state")
    done = say("pause", "1h", "30m")
    assert (done.returncode, done.stdout.startswith("paused until ")) == (0, True)
    now = Moment.now()
    assert (file.until(now) or 0.0) - now.clock == pytest.approx(5400, abs=30)
    assert say("pause", "until", "07:00").stdout.startswith("paused until 07:00; no service runs now")
    wrong = say("pause", "tomorrow")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == ('flashvsr: "tomorrow" is no length such as 30m, 2h or 1h30m, and no "until 07:00"\n')
    assert file.until(Moment.now()) is not None
    assert say("resume").stdout == "the pause is over\n"
    assert file.until(Moment.now()) is None
    assert say("resume").stdout == "it was not paused\n"


def test_a_pause_without_a_state_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "flashvsr.toml").write_text(f'[paths]\nstate = "{tmp_path / "nowhere"}"\n')
    done = called(capsys, "pause", "--config", tmp_path / "flashvsr.toml")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"flashvsr: there is no directory {tmp_path / 'nowhere'}; start the service first, or give its --config\n"
    )
    assert called(capsys, "resume", "--config", tmp_path / "flashvsr.toml").returncode == 0
