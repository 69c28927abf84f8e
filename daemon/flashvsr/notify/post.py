"""Brings notices to people: gathers, sends, tries again, and remembers who was told what.

A notice is marked as told when its message was taken. A crash in that very instant tells it twice; never does one
lose it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from flashvsr.jobs.notices import TROUBLE, ids_of, told_marks
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import SKIPPED, Notice
from flashvsr.notify import sending
from flashvsr.notify.phrases import message_of
from flashvsr.notify.sending import MISSING_TEXT, SENT, Message, mark_of, name_of, outcome_text
from flashvsr.notify.steady import Steady
from flashvsr.settings.notify_table import DONE, Notify

log = logging.getLogger(__name__)

MOST = 10_000  # notices in one message, and in memory
_FORGET_SECONDS = 3600.0  # between two removals of what is over

Send = Callable[[Sequence[Message]], list[str]]


@dataclass(frozen=True)
class Pace:
    """Times in seconds.

    `gather`: what comes so soon after each other is told together. `pause`: between two messages to one address.
    `retry`, `longest_retry`: after a message that was not taken; it doubles. `keep`: what is older is not told any
    more. `rise`, `fall`: of trouble, see `Steady`. `step`: between two looks. `ping`: between two pings.
    """

    gather: float = 3.0
    pause: float = 60.0
    retry: float = 30.0
    longest_retry: float = 3600.0
    keep: float = 86_400.0
    rise: float = 20.0
    fall: float = 600.0
    step: float = 1.0
    ping: float = 60.0


@dataclass
class _Address:
    """How it goes with one address."""

    next_try: float = 0.0
    failures: int = 0
    problem: str = ""
    since: float = 0.0  # of the problem, by the wall clock


class Post:
    """One step after the other, by one thread; `problems` may be asked by another one."""

    def __init__(
        self, settings: Notify, open_queue: Callable[[], Queue], pace: Pace, send: Send = sending.send
    ) -> None:
        self._settings = settings
        self._open_queue = open_queue
        self._queue: Queue | None = None
        self._pace = pace
        self._send = send
        self._addresses: dict[str, _Address] = {}
        self._trouble: Steady | None = None
        self._loose: list[Notice] = []  # trouble that could not be written down
        self._unwritten: dict[int, set[str]] = {}  # by notice: who was told, which could not be written down
        self._version: object = None
        self._waiting = False
        self._next_forget = 0.0
        self._queue_failed = False
        self._write_failed = False
        self._found: dict[str, str] = {}
        self.reload(settings)

    def reload(self, settings: Notify) -> None:
        """Go on by these settings."""
        self._settings = settings
        marks = {mark_of(url) for url in settings.urls}
        self._addresses = {mark: self._addresses.get(mark, _Address()) for mark in marks}
        self._version = None
        self._note_problems()

    def problems(self) -> dict[str, str]:
        """What a person should know, by a name of what has it; no address is shown."""
        return self._found

    def close(self) -> None:
        """Close the queue."""
        if self._queue is not None:
            self._queue.close()
            self._queue = None

    def step(self, problems: Sequence[str] | None, now: float) -> None:
        """Do what is due at `now`, of the monotonic clock. `problems`: what needs a hand; None if nobody knows."""
        pending = self._pending(problems, now)
        self._deliver(pending, now)

    def _pending(self, problems: Sequence[str] | None, now: float) -> list[Notice]:
        """What is to be told. Without the queue, what is known without it."""
        stored: list[Notice] = []
        try:
            if self._queue is None:
                self._queue = self._open_queue()
            if problems is not None:
                self._look_for_trouble(self._queue, problems, now)
            stored = self._stored(self._queue, now)
        except Exception as error:  # the supervisor says what is wrong with the queue, this one goes on
            if not self._queue_failed:
                log.warning("what is to be told cannot be read: %s; trying again", error)
            self._queue_failed = True
        else:
            self._queue_failed = False
        self._loose = [notice for notice in self._loose if time.time() - notice.created < self._pace.keep]
        return [*stored, *self._loose]

    def _look_for_trouble(self, queue: Queue, problems: Sequence[str], now: float) -> None:
        if self._trouble is None:
            self._trouble = Steady(self._pace.rise, self._pace.fall, queue.notices.in_trouble())
        if not self._trouble.update(bool(problems), now) or not self._wants(TROUBLE):
            return
        if not self._trouble.holds:
            queue.notices.calm()
            return
        text = "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else "")
        try:
            queue.notices.trouble(text)
        except Exception:  # a full disk, perhaps: that is what is to be told
            self._loose.append(Notice(kind=TROUBLE, detail=text, created=time.time()))
            raise

    def _stored(self, queue: Queue, now: float) -> list[Notice]:
        """Read what is to be told, and drop what is not, or no more."""
        if self._unwritten:
            self._try(lambda: self._write_down(queue))
        if now >= self._next_forget:
            queue.notices.forget(time.time() - self._pace.keep)
            self._next_forget = now + _FORGET_SECONDS
        version = queue.store.version()
        if self._settings.urls and now < min(address.next_try for address in self._addresses.values()):
            return []  # nobody's turn: a backlog is not read again and again
        if version == self._version and not self._waiting:
            return []
        rows = queue.notices.pending(MOST)
        unwanted = [row for row in rows if not self._wants(row.kind)]
        old = [row for row in rows if self._wants(row.kind) and time.time() - row.created > self._pace.keep]
        if old:
            log.warning("%d notices could not be sent for a day and are dropped", len(old))
        everybody = set(self._addresses)  # an address that was taken out may have been the only one to miss some
        gone = {row.id for row in rows if everybody <= self._told(row)} | {*ids_of(unwanted), *ids_of(old)}
        if gone:
            self._try(lambda: queue.notices.drop(gone))
        kept = [row for row in rows if row.id not in gone]
        self._waiting = bool(kept) or len(rows) == MOST
        self._version = version
        return kept

    def _wants(self, kind: str) -> bool:
        return bool(self._settings.urls) and (DONE if kind == SKIPPED else kind) in self._settings.on

    def _deliver(self, pending: Sequence[Notice], now: float) -> None:
        """Send one message to each address that has not been told everything, if it is time."""
        if not self._is_gathered(pending):
            return
        due = []
        for number, url in enumerate(self._settings.urls, 1):
            mark = mark_of(url)
            untold = [notice for notice in pending if mark not in self._told(notice)]
            if untold and now >= self._addresses[mark].next_try:
                due.append((number, url, untold))
        if not due:
            return
        messages = [Message(url, *message_of(untold)) for _, url, untold in due]
        outcomes = self._send(messages)
        for (number, url, untold), message, outcome in zip(due, messages, outcomes, strict=True):
            self._note(number, url, untold, message.title, outcome, now)
        self._note_problems()
        if (queue := self._queue) is not None:
            self._try(lambda: self._write_down(queue))

    def _is_gathered(self, pending: Sequence[Notice]) -> bool:
        if not pending:
            return False
        ages = [time.time() - notice.created for notice in pending]
        # A clock that was set back makes them come from the future.
        return not 0 <= min(ages) < self._pace.gather or max(ages) >= 5 * self._pace.gather

    def _note(self, number: int, url: str, untold: Iterable[Notice], title: str, outcome: str, now: float) -> None:
        mark, name = mark_of(url), name_of(number, url)
        address = self._addresses[mark]
        if outcome == SENT:
            log.info("%s: told (%s)", name, title.partition(": ")[2] or title)
            self._addresses[mark] = _Address(next_try=now + self._pace.pause)
            for notice in untold:
                self._mark(notice, mark)
            return
        delay = min(self._pace.longest_retry, self._pace.retry * 2**address.failures)
        text = outcome_text(outcome)
        if text != address.problem:
            log.warning("%s: %s; it is tried again", name, text)
        since = address.since or time.time()
        failures = min(address.failures + 1, 20)
        self._addresses[mark] = _Address(now + delay, failures, text, since)

    def _mark(self, notice: Notice, mark: str) -> None:
        if notice.id is None:
            notice.told = json.dumps(sorted(told_marks(notice) | {mark}))
        else:
            self._unwritten.setdefault(notice.id, set()).add(mark)

    def _told(self, notice: Notice) -> set[str]:
        return told_marks(notice) | self._unwritten.get(notice.id, set())

    def _write_down(self, queue: Queue) -> None:
        """Write down who was told what; as long as that fails, it is remembered."""
        by_mark: dict[str, list[int]] = {}
        for number, marks in self._unwritten.items():
            for mark in marks:
                by_mark.setdefault(mark, []).append(number)
        for mark, numbers in by_mark.items():
            queue.notices.told(numbers, mark, self._addresses.keys())
        self._unwritten.clear()

    def _try(self, write: Callable[[], None]) -> None:
        """Write to the queue; what a full disk keeps from it is tried again at the next step."""
        try:
            write()
        except Exception as error:
            if not self._write_failed:
                log.warning("who was told cannot be written down yet: %s", error)
            self._write_failed = True
        else:
            self._write_failed = False

    def _note_problems(self) -> None:
        found = {}
        if self._settings.urls and not sending.is_available():
            found["notify"] = MISSING_TEXT
        for number, url in enumerate(self._settings.urls, 1):
            address = self._addresses[mark_of(url)]
            if address.problem and not found.get("notify"):
                clock = time.strftime("%H:%M", time.localtime(address.since))
                found[name_of(number, url)] = f"since {clock}: {address.problem}"
        self._found = found
