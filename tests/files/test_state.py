"""The lock of the state directory."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.errors import FlashVSRError
from flashvsr.files.state import AlreadyRunning, StateDirectory, prepare_state, service_process, state_lock


def test_a_start_in_the_instant_of_a_status_question_succeeds(tmp_path: Path) -> None:
    """`flashvsr status` takes the lock shared to find out whether somebody has it."""
    prepare_state(tmp_path)
    with StateDirectory(tmp_path).lock.open("w") as question:
        fcntl.flock(question, fcntl.LOCK_SH)
        with pytest.raises(AlreadyRunning), state_lock(tmp_path, patience=0):
            pass
        answered = threading.Timer(0.3, fcntl.flock, (question, fcntl.LOCK_UN))
        answered.start()
        with state_lock(tmp_path):
            assert service_process(tmp_path) == os.getpid()
    assert service_process(tmp_path) is None


def test_a_service_that_stays_is_named(tmp_path: Path) -> None:
    prepare_state(tmp_path)
    with (
        state_lock(tmp_path),
        pytest.raises(AlreadyRunning, match=f"process {os.getpid()}.*paths.state"),
        state_lock(tmp_path, patience=0.1),
    ):
        pass


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"x", b"-5", b"1_0", b"12 13", "٣".encode(), b"\xff\xfe", bytes(40), b"9" * 5000, b"\x1b[2Jservice\n"],
)
def test_a_lock_of_any_content_is_a_lock(tmp_path: Path, content: bytes) -> None:
    prepare_state(tmp_path)
    lock = StateDirectory(tmp_path).lock
    lock.write_bytes(content)
    assert service_process(tmp_path) is None
    with lock.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert service_process(tmp_path) is None
        with pytest.raises(AlreadyRunning, match=r"\(process unknown\)"), state_lock(tmp_path, patience=0):
            pass
    with state_lock(tmp_path):
        assert lock.read_bytes() == f"{os.getpid()}\n".encode()
        assert service_process(tmp_path) == os.getpid()


def _link(path: Path) -> None:
    path.with_name("elsewhere").write_text("precious")
    path.symlink_to("elsewhere")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, _link, _socket])
def test_what_is_no_lock_is_named_with_what_to_do(tmp_path: Path, make: Callable[[Path], None]) -> None:
    prepare_state(tmp_path)
    make(StateDirectory(tmp_path).lock)
    assert service_process(tmp_path) is None
    with pytest.raises(FlashVSRError, match=r"flashvsr\.lock.*remove it"), state_lock(tmp_path):
        pass
    if (tmp_path / "elsewhere").exists():
        assert (tmp_path / "elsewhere").read_text() == "precious"


@pytest.mark.parametrize("place", ["state", "state/below"])
def test_a_file_in_the_place_of_the_directory_is_said(tmp_path: Path, place: str) -> None:
    (tmp_path / "state").write_text("something else")
    with pytest.raises(
        FlashVSRError, match=r"cannot create .* no directory but a file; move it away, or set paths\.st"
    ):
        prepare_state(tmp_path / place)
