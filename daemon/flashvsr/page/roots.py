"""The outboxes that the settings name, each with the inboxes whose results go below it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flashvsr.jobs.inbox_view import InboxGroup
from flashvsr.settings.config import Config

MOST = 100  # outboxes that get a page; each may hang by itself, and takes a thread as long as it does


@dataclass(frozen=True)
class Root:
    """One outbox: its directory and the inboxes that put results there."""

    path: Path
    inboxes: InboxGroup


def roots_of(config: Config) -> tuple[Root, ...]:
    """Return the outboxes of the settings, at most `MOST`."""
    main, extras = config.paths.outbox, config.extra_inboxes
    paths = list(dict.fromkeys([main, *(extra.outbox for extra in extras)]))[:MOST]

    def group(path: Path) -> InboxGroup:
        below = frozenset(str(extra.path) for extra in extras if extra.outbox.is_relative_to(path))
        if not main.is_relative_to(path):
            return InboxGroup(below)
        return InboxGroup(frozenset(str(extra.path) for extra in extras) - below, others=True)

    return tuple(Root(path, group(path)) for path in paths)
