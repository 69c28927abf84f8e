"""Processes that hold jobs but are no workers of the service under test, as one of an earlier service may be."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from flashvsr.jobs.owner import Owner

_PROGRAM = """
import time
from flashvsr.jobs.owner import current_owner
me = current_owner()
print(me.host, me.pid, me.start, sep="\\n", flush=True)
time.sleep(600)
"""


@contextmanager
def stranger() -> Iterator[tuple[subprocess.Popen[str], Owner]]:
    """A process that only lives, and what it calls itself as the owner of a job; killed at the end."""
    with subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        host, pid, start = (process.stdout.readline().strip() for _ in range(3))
        try:
            yield process, Owner(host, int(pid), start)
        finally:
            process.kill()
