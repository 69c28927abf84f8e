"""The lock of the state directory."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from flashvsr.state import LOCK_NAME, AlreadyRunning, prepare_state, service_process, state_lock


def test_a_start_in_the_instant_of_a_status_question_succeeds(tmp_path: Path) -> None:
    """`flashvsr status` takes the lock shared to find out whether somebody has it."""
    prepare_state(tmp_path)
    with (tmp_path / LOCK_NAME).open("w") as question:
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
