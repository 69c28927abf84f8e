"""Has all of `run_service.py` and its workers loaded, and forks a service for each request: Python starts only once.

Reads a line of JSON for each: the settings file and the options of `run_service.py`, its environment, directory and
log, and where its exit code is written, negative for a signal. Answers with a line: the process id.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

from programs import copying_worker, fake_worker, run_service
from programs.forked_workers import ForkedWorkers


def serve() -> int:
    """Fork services until nobody asks any more. Returns in each of them, too, with its exit code."""
    gc.freeze()
    keepers: list[int] = []
    for line in sys.stdin:
        keepers = [keeper for keeper in keepers if os.waitpid(keeper, os.WNOHANG) == (0, 0)]
        keepers.append(os.fork())
        if keepers[-1] == 0:
            return keep(json.loads(line))
    return 0


def keep(request: dict[str, Any]) -> int:
    """Start one service, wait for its end and write down how it ended."""
    service = os.fork()
    if service == 0:
        return work(request)
    print(service, flush=True)
    code = os.waitstatus_to_exitcode(os.waitpid(service, 0)[1])
    ended = Path(request["ended"])
    ended.with_suffix(".part").write_text(str(code))
    ended.with_suffix(".part").rename(ended)
    os._exit(0)


def work(request: dict[str, Any]) -> int:
    """Be a service, as `run_service.py` is when it is started by itself."""
    nothing, log = os.open(os.devnull, os.O_RDONLY), os.open(request["log"], os.O_WRONLY)
    for stream, number in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(stream, number)
    os.closerange(3, max(nothing, log) + 1)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["directory"])
    ForkedWorkers({"copying_worker": copying_worker.main, "fake_worker": fake_worker.main}).install()
    return run_service.main(request["config"], request["options"])


if __name__ == "__main__":
    sys.exit(serve())
