"""A process of the claim tests: claims and finishes jobs until there are none, prints their numbers."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from flashvsr.jobs.owner import current_owner
from flashvsr.jobs.queue import Queue


def main(state: Path, start_at: float) -> None:
    time.sleep(max(0.0, start_at - time.time()))  # all processes open the database at the same moment
    queue = Queue(state)
    owner = current_owner()
    while (job := queue.claims.next_candidate(time.time())) is not None:
        mine = queue.claims.claim(job.id, "{}", owner, "cpu", 1)
        if mine is not None:
            print(mine.id)
            queue.claims.finish(mine.id, str(mine.lease), Path("/out"), "nano", "{}", [])
    queue.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
