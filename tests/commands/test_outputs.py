"""Where the output of a command goes may be full, closed, or no longer read. None of that is worth a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flashvsr.jobs.queue import Queue
from kits.commands import called


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("service")
    for name in ("inbox/default", "outbox", "state"):
        (root / name).mkdir(parents=True)
    inbox = root / "inbox" / "default"
    video = inbox / f"{'long ' * 40}.mp4"
    video.write_bytes(b"x")
    queue = Queue(root / "state")
    queue.intake.add(inbox, video, video.name, video.lstat())
    queue.close()
    file = root / "flashvsr.toml"
    file.write_text("[paths]\ninbox = 'inbox'\noutbox = 'outbox'\nstate = 'state'\n[gpu]\ndevices = 'cpu'\n")
    return file


def flashvsr(config: Path, command: str, redirection: str) -> subprocess.CompletedProcess[str]:
    line = f'"$0" -m flashvsr {command} --config "$1" {redirection}'
    return subprocess.run(["bash", "-c", line, sys.executable, str(config)], capture_output=True, text=True, timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["status", "status --json", "status 1"])
def test_a_full_output_is_told(config: Path, command: str) -> None:
    done = flashvsr(config, command, ">/dev/full")
    assert done.returncode == 1
    assert done.stderr == "flashvsr: the output cannot be written: No space left on device\n"


@pytest.mark.slow
@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full", "2>/dev/full"])
def test_closed_and_full_streams_end_nothing(config: Path, redirection: str) -> None:
    done = flashvsr(config, "status", redirection)
    assert done.returncode == (1 if ">/dev/full 2" in redirection else 0)
    assert done.stderr == ""
    database = config.parent / "state" / "queue.db"
    assert database.read_bytes().startswith(b"SQLite format 3\0"), "no file stood in for a closed stream"


def test_a_reader_that_left(config: Path) -> None:
    done = flashvsr(config, "status --json", '| head -c 1; exit "${PIPESTATUS[0]}"')
    assert done.returncode in (0, 1)  # it may have written all before the reader left
    assert done.stderr == ""


def test_no_path_is_cut_in_a_pipe(config: Path) -> None:
    done = flashvsr(config, "status", "")
    assert f"{'long ' * 40}.mp4" in done.stdout


@pytest.mark.parametrize("command", ["status", "retry 1", "cancel 1", "check"])
def test_an_emptied_queue_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    """The service makes a new one of it with all it knows; a command that filled it would take that for done."""
    for name in ("inbox/default", "outbox", "state"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "state" / "queue.db").touch()
    file = tmp_path / "flashvsr.toml"
    file.write_text("[paths]\ninbox = 'inbox'\noutbox = 'outbox'\nstate = 'state'\n[gpu]\ndevices = 'cpu'\n")
    called(capsys, *command.split(), "--config", file)
    assert (tmp_path / "state" / "queue.db").stat().st_size == 0
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["queue.db"]


def test_a_number_that_no_job_has(config: Path) -> None:
    done = flashvsr(config, "status 99999999999999999999", "")
    assert (done.returncode, "there is no job 99999999999999999999" in done.stderr) == (1, True)
