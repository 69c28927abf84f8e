"""No thread of this process may keep the processor from the rest of the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_REAL_TIME = (os.SCHED_FIFO, os.SCHED_RR)


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """Take back the real-time priority that a library gives this process's threads inside.

    SVT-AV1 gives it to whoever opens an encoder, and to its own threads, where it may: as root. Then nothing else on
    the machine gets its turn.
    """
    try:
        yield
    finally:
        for thread in (int(task.name) for task in Path("/proc/self/task").iterdir()):
            with suppress(ProcessLookupError):  # it ended in the meantime
                if os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK in _REAL_TIME:
                    os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
