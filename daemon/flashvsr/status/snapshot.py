"""Everything known about the service, its queue and its inboxes at one moment, as frozen data.

States of jobs are those of the database (`flashvsr.jobs.schema`); people read other words for some (`status.words`).
Times are seconds since the epoch. Texts and paths are as they came: what shows them makes them visible.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from flashvsr.jobs.schema import RUNNING, Job, Worker

SPEAK_FOR_THEMSELVES = ("settings", "disk", "queue", "inboxes", "service", "problems")


@dataclass(frozen=True)
class Problem:
    """Something that a person must mend.

    `subject`: what has it; some of them (`SPEAK_FOR_THEMSELVES`) need no mention beside the text. `since`: None if it
    is not known how long it has been there.
    """

    subject: str
    text: str
    since: float | None = None

    def __str__(self) -> str:
        """One sentence; what has it is said once.

        A path is unmistakable anywhere in the text, anything shorter only at its beginning.
        """
        named = self.text.startswith(self.subject) or ("/" in self.subject and self.subject in self.text)
        named = named or self.subject in SPEAK_FOR_THEMSELVES
        return self.text if named else f"{self.subject}: {self.text}"


@dataclass(frozen=True)
class ServiceState:
    """The service process. `process`: its number, None if none runs; `state`: its state directory.

    `doing`: "starting the workers" or "stopping: ..."; empty while it serves, and if none runs.
    """

    process: int | None
    state: Path
    doing: str = ""


@dataclass(frozen=True)
class WorkerState:
    """One worker process. `state`: starting, idle or busy; `job`: number of the job it works on."""

    slot: str
    pid: int
    label: str
    state: str
    job: int | None
    error: str | None

    @classmethod
    def of(cls, row: Worker) -> WorkerState:
        """Take over a row of the queue."""
        return cls(row.slot, row.pid, row.label, row.state, row.job, row.error)


@dataclass(frozen=True)
class InboxState:
    """One inbox, or the root of them. The texts are empty where there is nothing to say.

    `unreachable`: why it cannot be looked into; `preset_problem`: what is wrong with its preset; `note`: what else was
    found of it, by a command that looked. `known`: False if nobody looked, and the service does not tell.
    """

    path: Path
    unreachable: str = ""
    preset_problem: str = ""
    note: str = ""
    known: bool = True

    @property
    def problem(self) -> str:
        """Why jobs of it have to wait; empty if nothing is in their way."""
        return self.unreachable or self.preset_problem


@dataclass(frozen=True)
class JobState:
    """One job. `frames_done` and `frames_total` count frames of the source, `fps` those done a second."""

    id: int
    state: str
    inbox: str
    source: str
    attempts: int
    not_before: float
    slot: str | None
    frames_done: int
    frames_total: int | None
    fps: float | None
    error: str | None
    error_kind: str | None
    warnings: tuple[str, ...]
    result: str | None
    model: str | None
    created: float
    claimed: float | None
    finished: float | None

    @classmethod
    def of(cls, row: Job) -> JobState:
        """Take over a row of the queue."""
        values = {name: getattr(row, name) for name in _JOB_FIELDS}
        return cls(**values | {"warnings": tuple(row.warnings)})


_JOB_FIELDS = tuple(field.name for field in fields(JobState))


@dataclass(frozen=True)
class QueueState:
    """The queue as a whole. `path`: its database; `counts`: jobs in each state; `failed_today`: since midnight."""

    path: Path
    counts: Mapping[str, int]
    failed_today: int


@dataclass(frozen=True)
class Snapshot:
    """All of it, taken at `moment`.

    `problems`: everything that a person must mend, wherever it was found, the newest first; nothing that shows them
    adds one of its own. `queue`: None if there is none yet, or it cannot be read. `jobs`: the newest first, and only
    as many of them as were asked for: within the service the running ones.
    """

    moment: float
    service: ServiceState
    problems: tuple[Problem, ...]
    workers: tuple[WorkerState, ...]
    queue: QueueState | None
    inbox_root: InboxState
    inboxes: tuple[InboxState, ...]
    jobs: tuple[JobState, ...]

    @property
    def running(self) -> tuple[JobState, ...]:
        """The jobs that are worked on."""
        return tuple(job for job in self.jobs if job.state == RUNNING)
