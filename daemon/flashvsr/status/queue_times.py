"""When each job will be done, and when the whole queue."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from flashvsr.jobs.rates import LEAST_FRAMES
from flashvsr.jobs.schema import QUEUED, RUNNING, Rate
from flashvsr.status.estimate import MEASURED, Estimate, estimate, measured
from flashvsr.status.open_times import OpenTimes
from flashvsr.status.phase import wait_seconds
from flashvsr.status.snapshot import JobState, WorkerState
from flashvsr.system.devices import CPU

NOTHING = Estimate(0.0, 0.0, MEASURED)


@dataclass(frozen=True)
class Times:
    """Jobs with their times, and the end of all of them. `unknown`: how many take a time that is not known."""

    jobs: tuple[JobState, ...]
    ends: Estimate | None
    unknown: int


def with_times(
    jobs: Sequence[JobState],
    workers: Sequence[WorkerState],
    rates: Sequence[Rate],
    moment: float,
    work: OpenTimes | None,
) -> Times:
    """Reckon the times of jobs that run or wait, in the order given. `work`: when workers work; None if nobody knows.

    Each worker takes the first job that may begin. Who does which one is reckoned twice, as fast and as slowly as it
    may go; the truth lies between.
    """
    rates = [*rates, *_so_far(jobs, workers, rates)]
    able = [worker for worker in workers if worker.job is not None or not worker.error]
    left = {job.id: _left(job, workers, rates) for job in jobs if job.state in (RUNNING, QUEUED)}
    unknown = sum(one is None for one in left.values())
    known = {number: one for number, one in left.items() if one is not None}
    least = _ends(jobs, able, {number: one.least for number, one in known.items()}, moment, work)
    most = _ends(jobs, able, {number: one.most for number, one in known.items()}, moment, work)
    # Nobody knows how long the ones behind an unknown one wait for it.
    timed: list[JobState] = []
    so_far, sure = NOTHING, True
    for job in jobs:
        if job.id not in left:
            timed.append(job)
            continue
        own = left[job.id]
        sure = sure and own is not None
        done_in = None
        if own is not None:
            so_far += own
            if job.id in least and (sure or job.state == RUNNING):
                done_in = Estimate(least[job.id], most[job.id], own.basis if job.state == RUNNING else so_far.basis)
        timed.append(replace(job, seconds_left=own if job.total else None, done_in=done_in))
    if not least:
        return Times(tuple(timed), None, unknown)
    ends = Estimate(max(least.values()), max(most.values()), so_far.basis)
    return Times(tuple(timed), ends, unknown)


def _so_far(jobs: Sequence[JobState], workers: Sequence[WorkerState], rates: Sequence[Rate]) -> Iterator[Rate]:
    """What the jobs that run tell of pictures of a size that nobody has measured on their device."""
    known = {(rate.device, rate.width, rate.height) for rate in rates}
    labels = {worker.slot: worker.label for worker in workers}
    for job in jobs:
        label = labels.get(job.slot or "")
        if job.state == RUNNING and label and job.model_size and job.fps and _is_told_by_itself(job):
            width, height = job.model_size
            model = _model_on(label, rates) or ""
            if (label, width, height) not in known:
                frames, seconds = job.frames_done, job.frames_done / job.fps
                yield Rate(device=label, model=model, width=width, height=height, frames=frames, seconds=seconds)


def _model_on(device: str, rates: Sequence[Rate]) -> str | None:
    """The model that it had last: it will be the one that it has next."""
    return next((rate.model for rate in rates if rate.device == device), None)


def _is_told_by_itself(job: JobState) -> bool:
    """Whether it has run for long enough to tell its own speed."""
    return job.frames_done >= LEAST_FRAMES


def _left(job: JobState, workers: Sequence[WorkerState], rates: Sequence[Rate]) -> Estimate | None:
    """How long a worker will be at it, from now on if it runs."""
    if job.will_skip or job.refused:
        return NOTHING
    if job.total is None:
        return None
    frames = max(0, job.total - job.frames_done)
    if job.state == RUNNING and job.fps and _is_told_by_itself(job):
        return measured(frames / job.fps)
    worker = next((one for one in workers if one.slot == job.slot), workers[0] if workers else None)
    device = worker.label if worker else rates[0].device if rates else None
    if job.model_size is None or device is None:
        return None
    gpu = worker is not None and worker.slot != CPU.name
    return estimate(frames, job.model_size, rates, device, _model_on(device, rates), gpu=gpu)


def _ends(
    jobs: Sequence[JobState],
    workers: Sequence[WorkerState],
    left: dict[int, float],
    moment: float,
    work: OpenTimes | None,
) -> dict[int, float]:
    """When each job ends, in seconds from the moment on, by its number; without those of which that is not known."""
    if not workers or work is None:
        return {}

    def end(start: float, seconds: float) -> float:
        return work.end(moment + start, seconds) - moment

    ends = {job.id: end(0.0, left[job.id]) for job in jobs if job.state == RUNNING and job.id in left}
    lanes = []
    for worker in workers:
        running = next((job for job in jobs if job.state == RUNNING and job.slot == worker.slot), None)
        if running is None or running.id in left:
            lanes.append(0.0 if running is None else ends[running.id])
    heapq.heapify(lanes)
    waiting = [job for job in jobs if job.state == QUEUED and job.id in left]
    later = [(wait_seconds(job.not_before, moment), place) for place, job in enumerate(waiting)]
    ready: list[int] = []  # places in the order
    heapq.heapify(later)
    while lanes and (ready or later):
        free = lanes[0]
        if not ready:
            free = max(free, later[0][0])
        while later and later[0][0] <= free:
            heapq.heappush(ready, heapq.heappop(later)[1])
        job = waiting[heapq.heappop(ready)]
        ends[job.id] = end(free, left[job.id])
        heapq.heapreplace(lanes, ends[job.id])
    return {number: seconds for number, seconds in ends.items() if seconds < math.inf}
