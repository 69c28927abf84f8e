"""The jobs of some inboxes, for those who may see no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import peewee as pw

from flashvsr.jobs.schema import FINISHED, HELD, QUEUED, STATES, Job
from flashvsr.jobs.store import Store
from flashvsr.jobs.table import ORDER


@dataclass(frozen=True)
class InboxGroup:
    """The inboxes of these paths; with `others` all but those."""

    paths: frozenset[str] = frozenset()
    others: bool = False

    def holds(self, inbox: str) -> bool:
        """Whether an inbox is one of them."""
        return (inbox in self.paths) != self.others


EVERY_INBOX = InboxGroup(others=True)


class InboxView:
    """Reads jobs of groups of inboxes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def waiting(self, inboxes: InboxGroup, limit: int) -> list[Job]:
        """Return those that wait, those that come next first."""
        return self._store.rows(self._select(inboxes, [QUEUED]).order_by(*ORDER).limit(limit))

    def held(self, inboxes: InboxGroup, limit: int) -> list[Job]:
        """Return those that are held."""
        return self._store.rows(self._select(inboxes, [HELD]).order_by(Job.id).limit(limit))

    def ended(self, inboxes: InboxGroup, limit: int) -> list[Job]:
        """Return those that have ended, the last one first."""
        query = self._select(inboxes, FINISHED).order_by(Job.finished.desc(), Job.id.desc())
        return self._store.rows(query.limit(limit))

    def counts(self, inboxes: InboxGroup) -> dict[str, int]:
        """Return how many jobs are in each state; every state has its entry."""
        query = Job.select(Job.state, pw.fn.COUNT(Job.id)).where(*_condition(inboxes)).group_by(Job.state).tuples()
        return dict.fromkeys(STATES, 0) | {state: int(count) for state, count in self._store.rows(query)}

    def _select(self, inboxes: InboxGroup, states: Sequence[str]) -> Any:
        return Job.select().where(Job.state.in_(tuple(states)), *_condition(inboxes))


def _condition(inboxes: InboxGroup) -> list[Any]:
    """The part of a query that picks them. Never empty, as `where` wants at least one."""
    paths = sorted(inboxes.paths)
    if not inboxes.others:
        return [Job.inbox.in_(paths)]
    return [Job.inbox.not_in(paths)] if paths else [Job.id.is_null(False)]
