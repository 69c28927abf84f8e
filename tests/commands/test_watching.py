"""`flashvsr status --watch`, on a terminal and without one."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashvsr.commands.watching import _fitting
from flashvsr.jobs.queue import Queue
from kits.commands import called

SETTINGS = '[paths]\ninbox = "inbox"\noutbox = "outbox"\nstate = "state"\nmodels = "models"\n'
NAME = "a very long name of a video that was filmed on a holiday by the sea.mp4"
RESTORES_SCREEN = "\x1b[?1049l"


@pytest.fixture
def settings(tmp_path: Path, queue: Queue) -> Path:
    inbox = tmp_path / "inbox" / "a"
    inbox.mkdir(parents=True)
    (inbox / NAME).write_bytes(b"video")
    queue.intake.add(inbox, inbox / NAME, NAME, (inbox / NAME).lstat())
    (tmp_path / "flashvsr.toml").write_text(SETTINGS)
    return tmp_path / "flashvsr.toml"


class Terminal:
    """A terminal with a command in it."""

    def __init__(self, columns: int, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        self.resize(columns)
        os.set_blocking(self._master, False)
        environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flashvsr", *arguments],
            stdin=slave, stdout=slave, stderr=slave, env=environment | {"TERM": "xterm"}, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.shown = ""

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def until(self, text: str) -> None:
        """Wait until it shows this text."""
        end = time.monotonic() + 60
        while text not in self.shown:
            assert time.monotonic() < end, self.shown
            self.read()
            time.sleep(0.05)

    def read(self) -> None:
        try:
            self.shown += os.read(self._master, 65_536).decode()
        except (BlockingIOError, OSError):  # nothing new; or the other side is closed
            return

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(settings: Path) -> Iterator[Terminal]:
    opened = Terminal(60, "status", "--watch", "--config", str(settings))
    yield opened
    opened.close()


@pytest.mark.slow
def test_it_is_painted_anew_follows_the_size_and_ends_by_ctrl_c(terminal: Terminal, queue: Queue) -> None:
    terminal.until("queue: 1 video")
    assert "…" in terminal.shown
    assert NAME not in terminal.shown
    assert "\x1b[2J" not in terminal.shown.partition("queue")[2], "a screen that is cleared each time flickers"
    terminal.resize(200)
    terminal.until(NAME)
    with queue.store.writing():
        queue.jobs.end(1, "failed", error="no picture in it")
    terminal.until("no picture in it")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(60) == 130
    terminal.until(RESTORES_SCREEN)
    assert "Traceback" not in terminal.shown


def test_without_a_terminal_it_says_what_to_do(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = called(capsys, "status", "--watch", "--config", settings)
    assert (done.returncode, done.stdout) == (1, "")
    assert "use --json --watch" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", ["", "1"])
def test_json_is_one_line_each_time(settings: Path, number: str) -> None:
    command = [sys.executable, "-m", "flashvsr", "status", *number.split(), "--json", "--watch"]
    process = subprocess.Popen([*command, "--config", settings], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        found = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stdout.read() == ""
    if number:
        assert found[0] == found[1]
        assert found[0]["relative"] == NAME
    else:
        assert found[1]["moment"] - found[0]["moment"] > 1.5
        assert [len(one["jobs"]) for one in found] == [1, 1]


@pytest.mark.parametrize(
    ("height", "shown"),
    [(5, "1 2 3 4 5"), (9, "1 2 3 4 5"), (4, "1 2 … 2 more lines … 5"), (3, "1 … 3 more lines … 5")],
)
def test_on_a_low_terminal_the_end_stays(height: int, shown: str) -> None:
    assert " ".join(_fitting(["1", "2", "3", "4", "5"], height).split("\n")) == shown
