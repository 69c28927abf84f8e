"""Everything known about the service, its queue and its inboxes at one moment, as frozen data.

States of jobs are those of the database (`flashvsr.jobs.schema`); people read other words for some (`status.words`).
Times are seconds since the epoch. Texts and paths are as they came: what shows them makes them visible.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from flashvsr.jobs.forecasts import forecast_of
from flashvsr.jobs.schema import QUEUED, RUNNING, Job, Worker
from flashvsr.status.estimate import Estimate
from flashvsr.status.phase import phase_of

Size = tuple[int, int]

# What a service is at. While it rests no job is begun, and those that ran are saved.
STARTING, SERVING, RESTING, STOPPING = "starting", "serving", "resting", "stopping"

SPEAK_FOR_THEMSELVES = ("settings", "disk", "queue", "inboxes", "service", "problems", "notify", "metrics")


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

    `doing`: "starting the workers", "stopping: ...", or why no job is worked on: "paused until 07:00 by flashvsr
    pause", "outside [schedule] run until 22:00"; empty while it serves, and if none runs. `until`: when such a rest
    ends, in seconds since the epoch; None if there is none, or no end of it is known. `mode`: starting, serving,
    resting or stopping.
    """

    process: int | None
    state: Path
    doing: str = ""
    until: float | None = None
    mode: str = SERVING


@dataclass(frozen=True)
class WorkerState:
    """One worker process. `state`: starting, idle, busy or resting; `job`: number of the job it works on."""

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
    """One job. `frames_done` and `frames_total` count frames of the source, `fps` those done a second.

    Attributes:
        source: its file; `relative`: the path of that inside the inbox. `forced`: done although its preset skips it.
        phase: what it is doing or waiting for (`status.phase`); empty where its state says it all.
        source_size, result_size, model_size: (width, height) of the source, of what is made of it, and of what the
            model computes for that; None as long as nobody has looked at the file, or where nothing is made.
        frames: to be made, foreseen; None where the file does not tell.
        will_skip, refused: why nothing will be done, or can be, of one that waits; empty if something will.
        remarks: how the result will differ from its source, in words.
        seconds_left: how long the work that is left takes a worker; None if that is not known, or nothing is left.
        done_in: when it will be done, in seconds from the moment of the snapshot, all that comes before it included.
    """

    id: int
    state: str
    inbox: str
    source: str
    relative: str
    attempts: int
    not_before: float
    forced: bool
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
    phase: str = ""
    source_size: Size | None = None
    result_size: Size | None = None
    model_size: Size | None = None
    frames: int | None = None
    will_skip: str = ""
    refused: str = ""
    remarks: tuple[str, ...] = ()
    seconds_left: Estimate | None = None
    done_in: Estimate | None = None

    @classmethod
    def of(cls, row: Job, moment: float = 0.0, at_work: Collection[int] = ()) -> JobState:
        """Take over a row of the queue, without times. `at_work`: numbers of the jobs that workers are busy with."""
        values = {name: getattr(row, name) for name in _OF_ROW}
        phase = phase_of(row, moment, at_work)
        return cls(**values | {"warnings": tuple(row.warnings), "phase": phase} | _foreseen(row))

    @property
    def total(self) -> int | None:
        """Frames that it will have, by whoever knows it best; None for a file that has more than it told."""
        if self.frames_total:
            return self.frames_total
        return self.frames if self.frames is not None and self.frames >= self.frames_done else None


_FORESEEN = ("source_size", "result_size", "model_size", "frames", "will_skip", "refused", "remarks")
_OF_ROW = tuple(
    field.name
    for field in fields(JobState)
    if field.name not in (*_FORESEEN, "phase", "seconds_left", "done_in", "warnings")
)


def _foreseen(row: Job) -> dict[str, Any]:
    """What is kept of the looks at its file: JSON that no key of is sure, as another version may have written it."""
    found = forecast_of(row)
    sizes = (_size(found.get(key)) for key in ("source", "result", "model"))
    values: dict[str, Any] = dict(zip(_FORESEEN, sizes, strict=False))
    frames, remarks = found.get("frames"), found.get("remarks")
    values["frames"] = frames if isinstance(frames, int) and frames > 0 else None
    values["remarks"] = tuple(map(str, remarks)) if isinstance(remarks, list) else ()
    if row.state == QUEUED:  # of the others it is known how it went
        values |= {"will_skip": str(found.get("skipped") or ""), "refused": str(found.get("refused") or "")}
    return values


def _size(found: Any) -> Size | None:
    if isinstance(found, list) and len(found) == 2 and all(isinstance(side, int) and side > 0 for side in found):
        return found[0], found[1]
    return None


@dataclass(frozen=True)
class QueueState:
    """The queue as a whole. `path`: its database; `counts`: jobs in each state; `failed_today`: since midnight.

    `ends`: in how many seconds from the snapshot's moment everything is done that runs or waits, but for `unknown` jobs
    of which it is not known how long they take. None if nothing runs or waits, if no worker can begin, or if nothing
    is known at all.
    """

    path: Path
    counts: Mapping[str, int]
    failed_today: int
    ends: Estimate | None = None
    unknown: int = 0

    @property
    def ahead(self) -> int:
        """How many jobs run or wait."""
        return self.counts.get(RUNNING, 0) + self.counts.get(QUEUED, 0)


@dataclass(frozen=True)
class Snapshot:
    """All of it, taken at `moment`.

    `problems`: everything that a person must mend, wherever it was found, the newest first; nothing that shows them
    adds one of its own. `queue`: None if there is none yet, or it cannot be read. `jobs`: in the order in which people
    read them: those that run; those that wait, in the order in which they will be done; those that are held; those that
    have ended, the last one first. Only as many as were asked for, and within the service not all (`status.listing`).
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
