"""Small pictures go with the history."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from flashvsr.files.trees import OWN
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.retention import prune
from flashvsr.jobs.schema import Job

DAY = 86_400.0


def test_pictures_go_with_the_history(queue: Queue, drop: Callable[..., int], claim: Callable[..., Job]) -> None:
    jobs = [claim(drop(name)) for name in ("a.mp4", "b.mp4")]
    for job in jobs:
        queue.claims.finish(job.id, str(job.lease), Path("/out"), "nano", "{}", [])
    queue.state.thumbnails.mkdir()
    for number in (*(job.id for job in jobs), 777, 778):
        queue.state.thumbnail(number).write_bytes(b"\xff\xd8")
    now = time.time()
    os.utime(queue.state.thumbnail(777), (now, now + 40 * DAY))  # of a job that a new queue does not know yet
    assert prune(OWN, queue, 30, now + 29 * DAY)["leftovers"] == 0
    assert prune(OWN, queue, 30, now + 31 * DAY)["leftovers"] == 3
    assert [entry.name for entry in queue.state.thumbnails.iterdir()] == ["777.jpg"]
