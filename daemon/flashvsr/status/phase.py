"""What a job is doing or waiting for at the moment, closer than its state tells."""

from __future__ import annotations

from collections.abc import Collection

from flashvsr.jobs.claims import LONGEST_DELAY
from flashvsr.jobs.schema import QUEUED, RUNNING, Job

# Of jobs that wait: their turn; the model, which a worker loads for them; room on a disk; a time to try again.
TURN, LOADING, ROOM, AGAIN = "turn", "loading", "room", "again"
# Of jobs that run: no frame is there yet; frames are made; they are joined, checked and named; its end was asked for.
STARTING, WORKING, FINISHING, CANCELLING = "starting", "working", "finishing", "cancelling"
NO_SPACE = "space"  # kind of the error of a job that waits for room


def phase_of(job: Job, moment: float, at_work: Collection[int]) -> str:
    """Return one of the words above; an empty one for a job that neither runs nor waits.

    `at_work`: numbers of the jobs that workers are busy with.
    """
    if job.state == RUNNING:
        if job.cancel_requested:
            return CANCELLING
        if not job.frames_done:
            return STARTING
        return FINISHING if job.frames_total and job.frames_done >= job.frames_total else WORKING
    if job.state != QUEUED:
        return ""
    if job.id in at_work:  # it is claimed only when the model is there
        return LOADING
    if wait_seconds(job.not_before, moment):
        return ROOM if job.error_kind == NO_SPACE else AGAIN
    return TURN


def wait_seconds(not_before: float, moment: float) -> float:
    """How long a job may not begin yet."""
    wait = not_before - moment
    return wait if 0 < wait <= LONGEST_DELAY else 0.0
