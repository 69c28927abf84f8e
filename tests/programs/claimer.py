"""A process of the claim tests: claims and finishes jobs until there are none, prints their numbers.

It says `ready`, and begins when its standard input ends. Arguments: the state directory, and how:
`work`  one candidate after the other
`race`  every job there is, whoever may have it, in a database that excludes nobody: each statement is by itself
`die`   like `work`, but killed as soon as it has a job
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from flashvsr.jobs.backends.sqlite.connector import SQLite
from flashvsr.jobs.owner import current_owner
from flashvsr.jobs.queue import Queue

ATTEMPTS = 2


def main(state: Path, how: str) -> None:
    if how == "race":
        SQLite.writing = lambda _self: nullcontext()  # type: ignore[method-assign, assignment, return-value]
    print("ready", flush=True)
    sys.stdin.read()  # all processes open the database at the same moment
    queue = Queue(state)
    owner = current_owner()
    for number in candidates(queue, how):
        mine = queue.claims.claim(number, "{}", owner, "cpu", ATTEMPTS)
        if mine is None:
            continue
        if how == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        print(mine.id)
        queue.claims.finish(mine.id, str(mine.lease), Path("/out"), "nano", "{}", [])
    queue.close()


def candidates(queue: Queue, how: str) -> Iterator[int]:
    if how == "race":
        yield from sorted(job.id for job in queue.jobs.select())
        return
    while (job := queue.claims.next_candidate(time.time())) is not None:
        yield job.id


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
