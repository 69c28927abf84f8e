"""How states, sizes and times read, wherever people read them: one word for one thing."""

from __future__ import annotations

from flashvsr.jobs.schema import FAILED, QUEUED, RUNNING, state_word
from flashvsr.status.clock import end_text
from flashvsr.status.estimate import GUESSED, estimate_text
from flashvsr.status.phase import AGAIN, CANCELLING, FINISHING, LOADING, ROOM, STARTING, TURN, WORKING, wait_seconds
from flashvsr.status.snapshot import JobState, QueueState, ServiceState, Size, Snapshot

PHASES = {
    TURN: "",
    LOADING: "loading the model",
    ROOM: "waiting for room",
    AGAIN: "",
    STARTING: "starting",
    WORKING: "",
    FINISHING: "joining and checking",
    CANCELLING: "being cancelled",
}


def counts_text(queue: QueueState) -> str:
    """For example "1 running, 12 waiting, 3 failed (1 today)"; "none" if there are no jobs."""
    parts = []
    for state, number in queue.counts.items():
        today = f" ({queue.failed_today} today)" if state == FAILED and queue.failed_today else ""
        if number:
            parts.append(f"{number} {state_word(state)}{today}")
    return ", ".join(parts) or "none"


def service_text(service: ServiceState) -> str:
    """For example "running, process 12; stopping: running jobs are finished first", or "not running"."""
    if service.process is None:
        return "not running"
    return f"running, process {service.process}{'; ' if service.doing else ''}{service.doing}"


def queue_text(snapshot: Snapshot) -> str:
    """For example "queue: 6 videos, done about 03:40"; empty if nothing runs or waits."""
    queue = snapshot.queue
    if queue is None or not queue.ahead:
        return ""
    videos = f"queue: {queue.ahead} video{'' if queue.ahead == 1 else 's'}"
    if snapshot.service.process is None:
        return f"{videos}; the service does not run"
    if queue.ends is None or queue.unknown >= queue.ahead:
        return videos
    end = end_text(queue.ends, snapshot.moment)
    if queue.unknown:
        return f"{videos}, {queue.ahead - queue.unknown} done {end}, {queue.unknown} not looked at yet"
    return f"{videos}, done {end}"


def size_text(size: Size) -> str:
    """For example "640x360"."""
    return "{}x{}".format(*size)


def sizes_text(job: JobState) -> str:
    """For example "640x360 -> 1280x720"; only what is known of it."""
    sizes = [size_text(size) for size in (job.source_size, job.result_size) if size is not None]
    return " -> ".join(sizes)


def progress_text(job: JobState) -> str:
    """For example "41 %"; the number of frames where nobody knows how many there will be; empty before the first."""
    if not job.frames_done or job.state not in (RUNNING, QUEUED):
        return ""
    return f"{100 * min(job.frames_done, job.total) // job.total} %" if job.total else f"frame {job.frames_done}"


def phase_text(job: JobState, moment: float) -> str:
    """What it is doing or waiting for, for example "loading the model", "waiting for room, again in 20 s"."""
    wait = wait_seconds(job.not_before, moment) if job.phase in (ROOM, AGAIN) else 0.0
    again = f"again in {wait:.0f} s" if wait else ""
    return ", ".join(text for text in (PHASES.get(job.phase, ""), again) if text)


def left_text(job: JobState, *, short: bool = False) -> str:
    """How long it takes, or how much longer; empty where that is not known, or it is not to be done at all."""
    if job.seconds_left is None or job.will_skip or job.refused or job.phase in (FINISHING, CANCELLING):
        return ""
    told_as_left = job.phase == WORKING and not (short and job.seconds_left.basis == GUESSED)  # that is long enough
    return estimate_text(job.seconds_left, short=short) + (" left" if told_as_left else "")


def reason_text(job: JobState) -> str:
    """Why it does not go on, or will not be done; of one that is done, what is still to be done about it."""
    if job.will_skip:
        return f"will be skipped: {job.will_skip}"
    if job.refused:
        return f"cannot be done: {job.refused}"
    return "" if job.error is None or job.state == RUNNING else job.error
