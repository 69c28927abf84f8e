"""The one line about the service that `systemctl status` shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from flashvsr.jobs.schema import HELD, QUEUED, state_word
from flashvsr.status.snapshot import JobState, Problem, Snapshot
from flashvsr.system.text import printable, sentence_of, visible

NAMED_JOBS, NAME_LENGTH = 2, 60  # more would not fit the line
NAMED_PROBLEMS, PROBLEM_LENGTH = 2, 400


def status_line(snapshot: Snapshot) -> str:
    """For example "2 running (clip.mp4 41 %, 3.2 fps; b.mp4), 5 waiting, 1 held, 0 failed today; /mnt/nas: no share".

    The newest problems are named, all of them counted: `flashvsr status` shows all.
    """
    running, queue = snapshot.running, snapshot.queue
    counts = {} if queue is None else queue.counts
    numbers = [
        f"{len(running)} running{_named(running)}",
        *(f"{counts.get(state, 0)} {state_word(state)}" for state in (QUEUED, HELD)),
        f"{0 if queue is None else queue.failed_today} failed today",
    ]
    doing = [snapshot.service.doing] if snapshot.service.doing else []
    return "; ".join([*doing, ", ".join(numbers), *_problem_texts(snapshot.problems)])


def _problem_texts(problems: Sequence[Problem]) -> list[str]:
    shown = [visible(sentence_of(str(problem)), PROBLEM_LENGTH) for problem in problems[:NAMED_PROBLEMS]]
    more = len(problems) - len(shown)
    return [*shown, f"and {more} more: flashvsr status"] if more else shown


def _named(running: Sequence[JobState]) -> str:
    if not running:
        return ""
    texts = [_job_text(job) for job in running[:NAMED_JOBS]]
    if len(running) > NAMED_JOBS:
        texts.append(f"and {len(running) - NAMED_JOBS} more")
    return f" ({'; '.join(texts)})"


def _job_text(job: JobState) -> str:
    """Name, share done and speed of one running job, as far as they are known."""
    text = visible(printable(PurePath(job.source).name), NAME_LENGTH)
    if job.frames_total:
        text += f" {100 * (job.frames_done or 0) // job.frames_total} %"
    elif job.frames_done:
        text += f" frame {job.frames_done}"
    if job.fps:
        text += f", {job.fps:.1f} fps"
    return text
