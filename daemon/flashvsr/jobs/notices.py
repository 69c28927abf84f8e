"""What is to be told to people: written with what happened, in one transaction, and told later by the service."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable
from pathlib import PurePath

import peewee as pw

from flashvsr.jobs.schema import DONE, FAILED, QUEUED, RUNNING, SKIPPED, Job, Notice
from flashvsr.jobs.store import Store
from flashvsr.system.text import printable

HELD, QUEUE_EMPTY, TROUBLE, CALM = "held", "queue_empty", "trouble", "calm"
_TOLD_ENDS = (DONE, SKIPPED, FAILED)  # whoever cancelled a job knows
_DAY = 86_400.0  # seconds


class Notices:
    """The part of the queue that remembers what nobody was told yet, and who was told what."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def pending(self, most: int) -> list[Notice]:
        """Return what is still to be told, the oldest first."""
        return self._store.rows(Notice.select().where(Notice.over.is_null()).order_by(Notice.id).limit(most))

    def told(self, notice_ids: Collection[int], address: str, addresses: Collection[str]) -> None:
        """Note that one address was told of these; what all `addresses` were told of is over. Marks, not addresses."""
        with self._store.writing():
            for row in list(self._store.run(Notice.select().where(Notice.id.in_(notice_ids)))):
                told = sorted(told_marks(row) | {address})
                over = time.time() if set(addresses) <= set(told) else None
                self._store.run(Notice.update(told=json.dumps(told), over=over).where(Notice.id == row.id))

    def drop(self, notice_ids: Collection[int]) -> None:
        """Nobody is to be told of these any more."""
        with self._store.writing():
            self._store.run(Notice.update(over=time.time()).where(Notice.id.in_(notice_ids), Notice.over.is_null()))

    def trouble(self, text: str) -> None:
        """Something needs a hand since now."""
        with self._store.writing():
            self._add(TROUBLE, detail=text)

    def calm(self) -> None:
        """Nothing needs a hand any more; nobody is told."""
        with self._store.writing():
            self._add(CALM, over=time.time())

    def in_trouble(self) -> bool:
        """Whether trouble came after the last calm."""
        with self._store.reading():
            query = Notice.select().where(Notice.kind.in_((TROUBLE, CALM))).order_by(Notice.id.desc())
            last = self._store.first(query)
            return last is not None and last.kind == TROUBLE

    def forget(self, before: float) -> None:
        """Remove what was over before this moment, in seconds since the epoch.

        The last one of each kind stays: what comes next is reckoned from it.
        """
        newest = Notice.select(pw.fn.MAX(Notice.id)).group_by(Notice.kind)
        with self._store.reading():
            kept = [number for (number,) in self._store.run(newest.tuples())]
            old = (Notice.over < before) & Notice.id.not_in(kept)
            if self._store.first(Notice.select(Notice.id).where(old)) is None:
                return
        with self._store.writing():
            self._store.run(Notice.delete().where(old))

    # The methods below are for use inside `Store.writing`.

    def ended(self, job: Job) -> None:
        """Note that a job ended; and, if nothing waits any more, that."""
        if job.state in _TOLD_ENDS:
            detail = job.result if job.state == DONE else job.error
            detail = printable(detail) if detail is not None and job.state == DONE else detail
            self._add(job.state, job=job.id, subject=_name(job.inbox, job.relative), detail=detail)
        if self._store.first(Job.select(Job.id).where(Job.state.in_((QUEUED, RUNNING)))) is None:
            self._note_empty()

    def held(self, inbox: str, number: int, reason: str) -> None:
        """Note that so many jobs of an inbox began to wait for its preset."""
        self._add(HELD, subject=printable(inbox), number=number, detail=reason)

    def _note_empty(self) -> None:
        last = self._store.first(Notice.select().where(Notice.kind == QUEUE_EMPTY).order_by(Notice.id.desc()))
        now = time.time()
        since = now - _DAY if last is None or last.created > now else last.created  # the clock may have been set back
        query = Job.select(Job.state, pw.fn.COUNT(Job.id)).where(Job.finished > since).group_by(Job.state)
        counts = dict(self._store.run(query.tuples()))
        ends = {state: int(counts[state]) for state in _TOLD_ENDS if state in counts}
        if ends:
            self._add(QUEUE_EMPTY, number=sum(ends.values()), detail=json.dumps(ends))

    def _add(self, kind: str, **values: object) -> None:
        self._store.run(Notice.insert(kind=kind, created=time.time(), **values))


def told_marks(notice: Notice) -> set[str]:
    """The marks of the addresses that were told."""
    return set(json.loads(notice.told))


def empty_counts(notice: Notice) -> dict[str, int]:
    """How many jobs ended how before nothing was left; by state."""
    found = json.loads(notice.detail or "{}")
    return {state: int(found[state]) for state in _TOLD_ENDS if state in found}


def ids_of(notices: Iterable[Notice]) -> list[int]:
    """The numbers of notices."""
    return [notice.id for notice in notices]


def _name(inbox: str, relative: str) -> str:
    """As people of the share know it: the inbox, and the path in it."""
    return printable(PurePath(PurePath(inbox).name, relative))
