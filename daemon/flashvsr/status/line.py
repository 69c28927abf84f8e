"""The one line about the service that `systemctl status` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from flashvsr.jobs.schema import Job
from flashvsr.system.text import printable

NAMED_JOBS = 2  # more would not fit the line
NAME_LENGTH = 40


def summarize(
    running: Sequence[Job], counts: Mapping[str, int], failed_today: int, troubles: Sequence[str] = ()
) -> str:
    """For example "2 running (clip.mp4 41 %, 3.2 fps; b.mp4), 5 waiting, 1 held, 0 failed today"."""
    parts = [
        f"{len(running)} running{_named(running)}",
        f"{counts.get('queued', 0)} waiting",
        f"{counts.get('held', 0)} held",
        f"{failed_today} failed today",
    ]
    return "; ".join([", ".join(parts), *troubles])


def job_text(job: Job) -> str:
    """Name, share done and speed of one running job, as far as they are known."""
    text = printable(_shortened(PurePath(job.relative).name))
    if job.frames_total:
        text += f" {100 * (job.frames_done or 0) // job.frames_total} %"
    elif job.frames_done:
        text += f" frame {job.frames_done}"
    if job.fps:
        text += f", {job.fps:.1f} fps"
    return text


def _named(running: Sequence[Job]) -> str:
    if not running:
        return ""
    texts = [job_text(job) for job in running[:NAMED_JOBS]]
    if len(running) > NAMED_JOBS:
        texts.append(f"and {len(running) - NAMED_JOBS} more")
    return f" ({'; '.join(texts)})"


def _shortened(name: str) -> str:
    if len(name) <= NAME_LENGTH:
        return name
    half = NAME_LENGTH // 2
    return f"{name[:half]}...{name[-half:]}"
