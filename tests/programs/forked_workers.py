"""Workers that a service forks instead of starting Python anew, which takes most of the life of a fake one.

A service has threads and an open database, and nothing in it may go on in a child. So a process without either is
forked from it at its start, and that one forks the workers. Each is left alone by its parent at once, and becomes a
child of the service: it is killed, reaped and ends with it as one that was started.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flashvsr.service import pool

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


class ForkedWorker:
    """Looks like the `Popen` of a worker."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class ForkedWorkers:
    """Call it in the service, before it has done anything. `programs`: the main function of each, by its name."""

    def __init__(self, programs: Mapping[str, Callable[[], int]]) -> None:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        (requests, self._asking), (self._answering, answers) = os.pipe(), os.pipe()
        if os.fork() == 0:
            os.close(self._asking)  # or it would never hear that nobody asks any more
            os.close(self._answering)
            sys.exit(_serve(requests, answers, programs))
        os.close(requests)
        os.close(answers)

    def install(self) -> None:
        """Let the pool of workers start them so."""
        setattr(pool, "subprocess", SimpleNamespace(Popen=self._start, DEVNULL=subprocess.DEVNULL))  # noqa: B010

    def _start(
        self, command: Sequence[str], *, env: Mapping[str, str], start_new_session: bool, stdin: int
    ) -> ForkedWorker:
        assert stdin == subprocess.DEVNULL, "as the service's own"
        request = {
            "command": list(command),
            "environment": dict(env),
            "session": start_new_session,
            "held_back": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        }
        os.write(self._asking, json.dumps(request).encode() + b"\n")
        return ForkedWorker(int(os.read(self._answering, 20)))


def _serve(requests: int, answers: int, programs: Mapping[str, Callable[[], int]]) -> int:
    """Fork workers until nobody asks any more. Returns in each of them, too, with its exit code."""
    with os.fdopen(requests) as lines:
        for line in lines:
            request = json.loads(line)
            signal.pthread_sigmask(signal.SIG_SETMASK, request["held_back"])  # the worker has it from its first moment
            parent = os.fork()
            if parent == 0:
                parent = os.getpid()
                if worker := os.fork():
                    os.write(answers, b"%d\n" % worker)
                    os._exit(0)
                os.close(answers)
                while os.getppid() == parent:
                    time.sleep(0.001)
                return _work(request, programs)
            os.waitpid(parent, 0)
    return 0


def _work(request: dict[str, Any], programs: Mapping[str, Callable[[], int]]) -> int:
    if request["session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["command"][1:]
    return programs[Path(sys.argv[0]).stem]()
