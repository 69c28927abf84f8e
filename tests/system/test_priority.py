from __future__ import annotations

import os
import threading
from contextlib import suppress

import pytest

from flashvsr.system.priority import ordinary_priority

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may have real-time priority")


def take_priority() -> None:
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def test_all_threads_are_ordinary_again() -> None:
    taken, leave = threading.Event(), threading.Event()
    found: list[int] = []

    def greedy() -> None:
        take_priority()
        taken.set()
        leave.wait(10)
        found.append(os.sched_getscheduler(0))

    thread = threading.Thread(target=greedy)
    with suppress(ValueError), ordinary_priority():
        thread.start()
        assert taken.wait(10)
        take_priority()
        raise ValueError("whatever happens")
    leave.set()
    thread.join()
    assert (os.sched_getscheduler(0), found) == (os.SCHED_OTHER, [os.SCHED_OTHER])
