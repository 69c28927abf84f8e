"""How files become jobs: the same content once, new content under an old name again."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import peewee as pw

from flashvsr.files.advice import BLOCKED
from flashvsr.files.trees import NO_LINKS, Trees
from flashvsr.jobs.notices import Notices
from flashvsr.jobs.schema import CANCELLED, FAILED, HELD, QUEUED, RUNNING, SKIPPED, SUPERSEDED, Job
from flashvsr.jobs.store import Store
from flashvsr.jobs.table import JobTable, fresh_start, no_result

LONGEST_REASON = 1_000  # characters of why jobs are held: each job of an inbox stores them
_BATCH = 200  # files per transaction: workers must not wait long for the write lock

_Mark = str | tuple[int, int]  # a name, or a device and inode

_NOT_ENDED = Job.state.in_((QUEUED, HELD, RUNNING))
_KEY = (Job.source, Job.device, Job.inode, Job.size, Job.mtime_ns)


@dataclass(frozen=True)
class Source:
    """One file of an inbox and the content it has."""

    inbox: str
    source: str
    relative: str
    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, inbox: Path, source: Path, relative: str, stat: os.stat_result) -> Source:
        """Describe the file `source` with the result of its `lstat`."""
        return cls(str(inbox), str(source), relative, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@dataclass(frozen=True)
class Terms:
    """On which jobs begin to wait, by their inboxes: which of these are held, and why; and what comes first."""

    held: Mapping[str, str] = field(default_factory=dict)
    priorities: Mapping[str, int] = field(default_factory=dict)  # 0 where none is named


_NO_TERMS = Terms()


class Intake:
    """The part of the queue that the watcher talks to."""

    def __init__(self, store: Store, jobs: JobTable) -> None:
        self._store = store
        self._jobs = jobs
        self._notices = Notices(store)

    def add(self, inbox: Path, source: Path, relative: str, stat: os.stat_result) -> int | None:
        """Make a job of one file; see `add_many`."""
        return self.add_many([Source.of(inbox, source, relative, stat)])[0]

    def add_many(
        self, sources: Sequence[Source], terms: Terms = _NO_TERMS, trees: Trees = NO_LINKS
    ) -> list[int | None]:
        """Make jobs of files, in order; the number of each job, or None for a file that is known already.

        Known is the same device, inode, size and mtime, or the same path, size and mtime (a share gets new
        device and inode numbers when it is mounted again). A renamed file keeps its job, which takes the new name,
        and a failed one is tried again under it. A new version of a file replaces the old one's
        job if that still waits. A file whose job is done and archived or deleted it is known no longer: whoever
        drops it again wants it done again. Jobs of an inbox that `terms` hold start as held, for the reason given.
        `trees`: by which it is told whether a file still lies under a name that it had.
        """
        numbers: list[int | None] = []
        for batch in _batches(sources):
            left = self._left_names(trees, batch)  # asks the share, which may hang: outside the transaction
            with self._store.writing():
                met = self._met(batch)
                for source in batch:
                    # Of thousands of files dropped at once hardly one has anything to do with an earlier job.
                    if met.isdisjoint(marks := _marks(source)):
                        numbers.append(self._insert(source, _start(source, terms)))
                    else:
                        numbers.append(self._add(source, left, terms))
                    met |= marks
                self._note_held(batch, numbers[-len(batch) :], terms.held)
        return numbers

    def renamed(self, job_id: int, source: Source) -> Job | None:
        """Give a job the name under which its file was found; the job then, None if the file is not its own."""
        with self._store.writing():
            row = self._jobs.get(job_id)
            if row is None or row.departed or _key(row)[1:] != _key(source)[1:]:
                return None
            self._rename(row, source, {})
            return self._jobs.get(job_id)

    def unknown(self, sources: Sequence[Source]) -> list[Source]:
        """Return the files that have no job with exactly this path and content: to settle, then to add."""
        unknown: list[Source] = []
        with self._store.reading():
            for batch in _batches(sources):
                names = [source.source for source in batch]
                still = Job.source.in_(names), ~Job.departed
                rows = list(self._store.run(Job.select(*_KEY, Job.state, Job.error).where(*still)))
                known = {_key(row) for row in rows if not _was_superseded(row)}
                unknown += [source for source in batch if _key(source) not in known]
        return unknown

    def last_devices(self) -> dict[Path, int]:
        """Return, for each inbox that ever had a job, the device number of its newest job's file."""
        newest = Job.select(pw.fn.MAX(Job.id)).group_by(Job.inbox)
        rows = self._store.rows(Job.select(Job.inbox, Job.device).where(Job.id.in_(newest)))
        return {Path(row.inbox): row.device for row in rows}

    def inboxes_with(self, state: str) -> frozenset[str]:
        """Return the paths of the inboxes that have jobs in this state."""
        return frozenset(
            row.inbox for row in self._store.rows(Job.select(Job.inbox).where(Job.state == state).distinct())
        )

    def hold(self, inbox: Path, reason: str) -> int:
        """Let the queued jobs of `inbox` wait, for the reason given (its beginning is kept); how many these were."""
        return self._move(inbox, QUEUED, HELD, _kept(reason), "config")

    def release(self, inbox: Path) -> int:
        """Let the held jobs of `inbox` go on; how many these were."""
        return self._move(inbox, HELD, QUEUED, None, None)

    def priorities(self) -> Mapping[str, frozenset[int]]:
        """Return the priorities that jobs of each inbox have which did not end."""
        found: dict[str, set[int]] = {}
        for row in self._store.rows(Job.select(Job.inbox, Job.priority).where(_NOT_ENDED).distinct()):
            found.setdefault(row.inbox, set()).add(row.priority)
        return {inbox: frozenset(values) for inbox, values in found.items()}

    def prioritise(self, inbox: Path, priority: int) -> int:
        """Give the jobs of `inbox` that did not end this priority; how many had another one."""
        others = (Job.inbox == str(inbox)) & _NOT_ENDED & (Job.priority != priority)
        with self._store.writing():
            return int(self._store.run(Job.update(priority=priority).where(others)))

    def reconsider(self, inbox: Path, differs: Callable[[str | None], bool]) -> int:
        """Queue those skipped jobs of `inbox` again whose preset, as the row has it, `differs`; how many these were."""
        skipped = Job.select().where(Job.inbox == str(inbox), Job.state == SKIPPED)
        with self._store.writing():
            rows = [row for row in self._store.run(skipped) if differs(row.preset) and self._jobs.newer(row) is None]
            for row in rows:
                self._jobs.begin_anew(row.id, state=QUEUED, **fresh_start(), **no_result())
            return len(rows)

    def _move(self, inbox: Path, old: str, new: str, error: str | None, kind: str | None) -> int:
        there = (Job.inbox == str(inbox)) & (Job.state == old)
        with self._store.reading():
            if self._store.first(Job.select(Job.id).where(there)) is None:
                return 0  # asked at every scan: no write, no fsync for nothing
        with self._store.writing():
            number = int(self._store.run(Job.update(state=new, error=error, error_kind=kind).where(there)))
            if number and new == HELD:
                self._notices.held(str(inbox), number, error or "")
            return number

    def _note_held(self, batch: Sequence[Source], numbers: Sequence[int | None], held: Mapping[str, str]) -> None:
        """Note the new jobs that begin as held, by inbox."""
        new = Counter(source.inbox for source, number in zip(batch, numbers, strict=True) if number is not None)
        for inbox in held:
            if new[inbox]:
                self._notices.held(inbox, new[inbox], _kept(held[inbox]))

    def _left_names(self, trees: Trees, sources: Sequence[Source]) -> frozenset[str]:
        """Return the names, known to the queue, under which these files no longer lie: they were renamed."""
        wanted = {(source.device, source.inode): source.source for source in sources}
        devices, inodes = zip(*wanted, strict=True)
        same_inodes = Job.device.in_(set(devices)) & Job.inode.in_(inodes)
        rows = self._store.rows(Job.select(Job.source, Job.device, Job.inode).where(same_inodes))
        return frozenset(
            row.source
            for row in rows
            if wanted.get((row.device, row.inode), row.source) != row.source
            and not _lies_at(trees, row.source, row.device, row.inode)
        )

    def _met(self, sources: Sequence[Source]) -> set[_Mark]:
        """Return the names and inodes among those of these files that jobs have, whatever their content."""
        of_them = set[_Mark]().union(*map(_marks, sources))
        inodes = Job.device.in_({source.device for source in sources}) & Job.inode.in_([s.inode for s in sources])
        either = Job.source.in_([source.source for source in sources]) | (inodes & ~Job.departed)
        rows = self._store.run(Job.select(Job.source, Job.device, Job.inode).where(either))
        return of_them & set[_Mark]().union(*map(_marks, rows))

    def _add(self, source: Source, left: frozenset[str], terms: Terms) -> int | None:
        waiting = _start(source, terms)
        name = _name(source)
        again = fresh_start() | no_result() | {"created": time.time()} | waiting
        same_inode, same_name = self._matches(source)
        if same_name is not None:
            if same_inode is None and same_name.state != RUNNING:
                self._jobs.change(same_name.id, device=source.device, inode=source.inode)
            if not _was_superseded(same_name):
                return None
            # An earlier version of the file was put back before it was done.
            self._jobs.begin_anew(same_name.id, **again)
            return self._supersede_others(source, same_name.id)
        if same_inode is None:
            return self._supersede_others(source, self._insert(source, waiting))
        if same_inode.source not in left:
            return None  # a second name (hard link) of a file that has its job
        if same_inode.state == FAILED or _was_superseded(same_inode):
            self._jobs.begin_anew(same_inode.id, **name, **again)
            return self._supersede_others(source, same_inode.id)
        self._rename(same_inode, source, waiting if same_inode.state in (QUEUED, HELD) else {})
        return None

    def _rename(self, row: Job, source: Source, waiting: Mapping[str, object]) -> None:
        """Give a job the new name of its file. One that waits is due at once: a gone file may be why it waits."""
        values = {**_name(source), **waiting}
        if row.state in (QUEUED, HELD):
            values["not_before"] = 0.0
        self._supersede_others(source, row.id)
        self._jobs.change(row.id, **values)
        if self._jobs.newer(self._jobs.existing(row.id)) is not None:
            # An ended job had this name, of a file that this one replaced: it is no newer version of this one.
            self._jobs.change(row.id, created=time.time())

    def _matches(self, source: Source) -> tuple[Job | None, Job | None]:
        """Return the job of the same inode and the job of the same name, both with this size and mtime."""
        content = (Job.size == source.size) & (Job.mtime_ns == source.mtime_ns)
        inode = (Job.device == source.device) & (Job.inode == source.inode)
        rows = list(self._store.run(Job.select().where(content, inode | (Job.source == source.source), ~Job.departed)))
        same_inode = next((row for row in rows if _key(row)[1:] == _key(source)[1:]), None)
        return same_inode, next((row for row in rows if row.source == source.source), None)

    def _insert(self, source: Source, start: Mapping[str, object]) -> int:
        content = {key: getattr(source, key) for key in ("device", "inode", "size", "mtime_ns")}
        name = {key: getattr(source, key) for key in ("inbox", "source", "relative")}
        return int(self._store.run(Job.insert(created=time.time(), **name, **content, **start)))

    def _supersede_others(self, source: Source, job_id: int) -> int:
        self._store.run(
            Job.update(state=CANCELLED, error=SUPERSEDED, error_kind=None, finished=time.time()).where(
                Job.source == source.source, Job.state.in_((QUEUED, HELD)), Job.id != job_id
            )
        )
        return job_id


def _key(file: Source | Job) -> tuple[str, int, int, int, int]:
    return file.source, file.device, file.inode, file.size, file.mtime_ns


def _name(source: Source) -> dict[str, object]:
    return {"inbox": source.inbox, "source": source.source, "relative": source.relative}


def _marks(file: Source | Job) -> set[_Mark]:
    return {file.source, (file.device, file.inode)}


def _start(source: Source, terms: Terms) -> dict[str, object]:
    """The columns of a job that begins to wait."""
    reason = terms.held.get(source.inbox)
    return {
        "state": QUEUED if reason is None else HELD,
        "error": None if reason is None else _kept(reason),
        "error_kind": None if reason is None else "config",
        "priority": terms.priorities.get(source.inbox, 0),
    }


def _kept(reason: str) -> str:
    rest = "… (the rest: flashvsr check)"
    return reason if len(reason) <= LONGEST_REASON else reason[: LONGEST_REASON - len(rest)] + rest


def _batches(sources: Sequence[Source]) -> Iterator[Sequence[Source]]:
    return (sources[start : start + _BATCH] for start in range(0, len(sources), _BATCH))


def _lies_at(trees: Trees, path: str, device: int, inode: int) -> bool:
    """Tell whether that file is (or, where the share does not answer, may be) at that path."""
    try:
        stat = trees.lstat(Path(path))
    except FileNotFoundError:
        return False
    except OSError as error:
        return error.errno not in BLOCKED  # no longer a way to a file of an inbox
    return (stat.st_dev, stat.st_ino) == (device, inode)


def _was_superseded(job: Job) -> bool:
    return job.state == CANCELLED and job.error == SUPERSEDED
