"""Takes snapshots: in the service, which must stay cheap, and in commands, beside a running service or without one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from flashvsr.errors import BadConfig
from flashvsr.files.advice import in_the_way, out_of_reach
from flashvsr.files.state import service_process
from flashvsr.files.trees import Trees
from flashvsr.jobs.damage import set_aside_notes
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import FINISHED, Job, Worker
from flashvsr.settings.config import Config
from flashvsr.settings.preset import PRESET_NAME, load_preset
from flashvsr.status.job_page import JobPage
from flashvsr.status.listing import LAST_ENDED, Rows, ServiceListing, listed
from flashvsr.status.problems import ProblemList, bounded_list
from flashvsr.status.service_file import Told, read_service_file
from flashvsr.status.snapshot import (
    SERVING,
    InboxState,
    JobState,
    Problem,
    QueueState,
    ServiceState,
    Snapshot,
    WorkerState,
)
from flashvsr.system.text import printable

LOOK_SECONDS = 10.0  # how often the service reads everything although nothing seems to have changed

Jobs = Literal["none", "open", "all"]


@dataclass(frozen=True)
class Live:
    """What only the service process knows at the moment; texts are empty where nothing is wrong.

    `doing`, `until` and `mode`: see `ServiceState`. `run`: [schedule] run. `silent_seconds`: how long no inbox could
    be read, 0 as long as that is nothing to mention. `inbox_problems`: by directory or file. `inboxes`: each with what
    is wrong with its preset. `aside`: what is wrong with messages and metrics, as (what has it, text).
    """

    doing: str = ""
    until: float | None = None
    mode: str = SERVING
    run: str = ""
    settings_problem: str = ""
    disk_problem: str = ""
    queue_problem: str = ""
    silent_seconds: float = 0.0
    inbox_problems: Mapping[Path, str] = field(default_factory=dict)
    inboxes: Mapping[Path, str] = field(default_factory=dict)
    aside: Sequence[tuple[str, str]] = ()


class ServiceGatherer:
    """Takes the snapshots of the service process. `refresh` reads the queue, if there is anything new."""

    def __init__(self, queue: Queue, inbox_root: Path) -> None:
        self._queue = queue
        self._root = inbox_root
        self._problems = ProblemList()
        self._counts: Mapping[str, int] = {}
        self._failed_today = 0
        self._version: object = None  # of the queue, and on which day
        self._next_look = 0.0
        self._set_aside: Sequence[str] = ()
        self._staying: tuple[int, Job | None] = 0, None
        self._listed: tuple[Mapping[Path, str], tuple[InboxState, ...]] = {}, ()
        self._listing = ServiceListing(queue)
        self.workers: Sequence[Worker] = ()

    @property
    def running(self) -> Sequence[Job]:
        """The jobs that are worked on."""
        return self._listing.rows.running

    def refresh(self) -> None:
        """Read the queue, if anything in it has changed; and now and then anyway, as files can be damaged unnoticed."""
        midnight = _midnight()
        version = self._queue.store.version(), midnight
        changed, due = version != self._version, time.monotonic() >= self._next_look
        if changed or due:
            self.workers = self._queue.workers.all()
            self._counts = self._queue.jobs.counts()
            self._listing.refresh(self._counts)
        if changed:
            self._failed_today = self._queue.jobs.failed_since(midnight)
            self._version = version
        if due:
            self._set_aside = set_aside_notes(self._queue.path.parent)
            self._staying = self._queue.history.staying_sources()
            self._next_look = time.monotonic() + LOOK_SECONDS

    def snapshot(self, live: Live) -> Snapshot:
        """Put together what was read last and what is known at the moment; reads nothing."""
        found = [*_live_problems(live), *_stored_problems(self._set_aside, self._staying, self.workers)]
        moment = time.time()
        workers = tuple(map(WorkerState.of, self.workers))
        counts = QueueState(self._queue.path, self._counts, self._failed_today)
        service = ServiceState(os.getpid(), self._queue.path.parent, live.doing, live.until, live.mode)
        queue, jobs = listed(self._listing.rows, workers, counts, service, live.run, moment)
        return Snapshot(
            moment=moment,
            service=service,
            problems=self._problems.update(found),
            workers=workers,
            queue=queue,
            inbox_root=InboxState(self._root, live.inbox_problems.get(self._root, "")),
            inboxes=self._inboxes(live.inboxes),
            jobs=jobs,
        )

    def _inboxes(self, inboxes: Mapping[Path, str]) -> tuple[InboxState, ...]:
        """Nothing is done for an unchanged list: there may be thousands of inboxes."""
        if inboxes is not self._listed[0]:
            states = (InboxState(path, preset_problem=problem) for path, problem in inboxes.items())
            self._listed = inboxes, tuple(states)
        return self._listed[1]


def gather(config: Config, queue: Queue | None, *, jobs: Jobs = "open", look: bool = False) -> Snapshot:
    """Take a snapshot from a process that is not the service. Raises as the queue does.

    `queue`: None if there is none, or it cannot be opened. `jobs`: none, those that have not ended and the last ones
    that have, or all; without them no times are reckoned. Beside a running service its file tells what is wrong, and
    the inboxes are looked at only if `look` is set: reading thousands of presets takes minutes, and a share may hang.
    Without a service they always are.
    """
    state = config.paths.state
    process = service_process(state)
    moment = time.time()
    # What may fail comes first, what may take minutes last.
    counts = QueueState(queue.path, queue.jobs.counts(), queue.jobs.failed_since(_midnight())) if queue else None
    staying = queue.history.staying_sources() if queue else (0, None)
    worker_rows = queue.workers.all() if queue else []
    workers = tuple(map(WorkerState.of, worker_rows))
    rows = _rows(queue, jobs) if queue else Rows()
    told = None if process is None else _told(state, process)
    root, inboxes = _look(config) if told is None or look else _known(config, told)
    if told is None:
        found = [
            *((printable(inbox.path), inbox.problem) for inbox in (root, *inboxes) if inbox.problem),
            *_stored_problems(_set_aside(state), staying, worker_rows),
        ]
        told = Told(problems=bounded_list([Problem(subject, text) for subject, text in found]))
    service = _service(process, state, told)
    listing: tuple[JobState, ...] = ()
    if counts is not None and jobs != "none":
        counts, listing = listed(rows, workers, counts, service, config.schedule.run, moment)
    return Snapshot(
        moment=moment,
        service=service,
        problems=told.problems,
        workers=workers,
        queue=counts,
        inbox_root=root,
        inboxes=inboxes,
        jobs=listing,
    )


def gather_job(config: Config, queue: Queue, number: int) -> JobPage | None:
    """Gather what is known of one job from a process that is not the service; None if there is none of that number."""
    row = queue.jobs.get(number) if number < 1 << 63 else None
    if row is None:
        return None
    moment, state = time.time(), config.paths.state
    process = service_process(state)
    workers = tuple(map(WorkerState.of, queue.workers.all()))
    job = JobState.of(row, moment)
    if job.state not in FINISHED:
        counts = QueueState(queue.path, queue.jobs.counts(), 0)
        service = _service(process, state, Told() if process is None else _told(state, process))
        _, jobs = listed(_rows(queue, "open"), workers, counts, service, config.schedule.run, moment)
        job = next((one for one in jobs if one.id == number), job)
    at_it = [worker.label for worker in workers if worker.job == number and process is not None]
    return JobPage(job, moment, "".join(at_it[:1]), _parsed(row.preset), _parsed(row.report))


def _live_problems(live: Live) -> Iterator[tuple[str, str]]:
    """What the service alone knows to be wrong, as (what has it, text)."""
    if live.settings_problem:
        yield "settings", live.settings_problem
    if live.disk_problem:
        yield "disk", live.disk_problem
    if live.queue_problem:
        yield "queue", f"the queue does not answer: {printable(live.queue_problem)}"
    if live.silent_seconds:
        yield "inboxes", f"no inbox could be read for {live.silent_seconds:.0f} s: does a share hang?"
    yield from ((printable(path), text) for path, text in live.inbox_problems.items())
    yield from live.aside


def _stored_problems(
    set_aside: Iterable[str], staying: tuple[int, Job | None], workers: Iterable[Worker]
) -> Iterator[tuple[str, str]]:
    """What the state directory and the queue tell to be wrong, as (what has it, text)."""
    yield from (("queue", note) for note in set_aside)
    number, last = staying
    if last is not None:
        yield f"job {last.id}", f"{last.error}{f' (and {number - 1} more like it)' if number > 1 else ''}"
    yield from ((worker.slot, worker.error) for worker in workers if worker.error)


def _set_aside(state: Path) -> list[str]:
    try:
        return set_aside_notes(state)
    except OSError as error:
        return [out_of_reach(error)]


def _told(state: Path, process: int) -> Told:
    try:
        return read_service_file(state, process)
    except OSError as error:
        return Told(problems=(Problem("service", out_of_reach(error)),))


def _service(process: int | None, state: Path, told: Told) -> ServiceState:
    """The service by what it told of itself."""
    return ServiceState(process, state, told.doing, told.until, told.mode)


def _known(config: Config, told: Told) -> tuple[InboxState, tuple[InboxState, ...]]:
    """The inboxes by what the service told of them, a few seconds ago."""
    presets = {problem.subject: problem.text for problem in reversed(told.problems) if PRESET_NAME in problem.text}
    named = {problem.subject for problem in told.problems}
    path = config.paths.inbox
    root = next((problem.text for problem in told.problems if problem.subject == printable(path)), "")

    def state(inbox: Path) -> InboxState:
        subject = printable(inbox)
        # What else is wrong with it may have kept the service from its preset.
        known = subject in presets or subject in told.usable or (told.complete and subject not in named)
        return InboxState(inbox, preset_problem=presets.get(subject, ""), known=known)

    return InboxState(path, root), tuple(state(inbox.path) for inbox in config.inboxes())


def _look(config: Config) -> tuple[InboxState, tuple[InboxState, ...]]:
    """The root of the inboxes and all of them, looked at now."""
    inboxes = tuple(_look_at(config.trees(), inbox.path, config.export.quality) for inbox in config.inboxes())
    return InboxState(config.paths.inbox, _root_problem(config.paths.inbox, empty=not inboxes)), inboxes


def _root_problem(root: Path, empty: bool) -> str:
    try:
        if obstacle := in_the_way(root):
            return f"{obstacle}, or set paths.inbox to another directory"
        if root.exists() and not os.access(root, os.R_OK | os.X_OK):
            return "cannot be read; give the service's user access"
    except OSError as error:
        return out_of_reach(error)
    return "there is no inbox in it; create a directory in it (the service makes default/)" if empty else ""


def _look_at(trees: Trees, inbox: Path, default_quality: int) -> InboxState:
    try:
        if obstacle := in_the_way(inbox):
            return InboxState(inbox, f"{obstacle}, or name another directory")
        if not inbox.is_dir():
            return InboxState(inbox, "does not exist; create it, or mount its share")
        if not os.access(inbox, os.R_OK | os.X_OK):
            return InboxState(inbox, "cannot be read; give the service's user access")
        if not (inbox / PRESET_NAME).exists():
            return InboxState(inbox, note="no preset yet, the service writes one with the defaults")
        preset = load_preset(trees, inbox / PRESET_NAME, default_quality)
    except BadConfig as error:
        return InboxState(inbox, preset_problem=str(error))
    except OSError as error:
        return InboxState(inbox, out_of_reach(error))
    size = f"width {preset.width}, scale {preset.scale:g}, quality {preset.quality}"
    return InboxState(inbox, note=f"preset: {size}, {preset.codec} in {preset.container}")


def _rows(queue: Queue, wanted: Jobs) -> Rows:
    if wanted == "none":
        return Rows()
    return Rows.read(queue, waiting=None, held=None, ended=None if wanted == "all" else LAST_ENDED)


def _parsed(text: str | None) -> Any:
    return json.loads(text) if text else None


def _midnight() -> float:
    """When today began, in seconds since the epoch."""
    return datetime.now().replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
