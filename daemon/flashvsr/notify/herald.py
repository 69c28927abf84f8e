"""The threads that tell people, beside the loop of the service, which never waits for them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from flashvsr.jobs.queue import Queue
from flashvsr.notify import sending
from flashvsr.notify.post import Pace, Post, Send
from flashvsr.notify.sending import SENT
from flashvsr.notify.steady import Steady
from flashvsr.settings.notify_table import Notify

log = logging.getLogger(__name__)

STALE_SECONDS = 60.0  # without a word of the service's loop that long, it hangs
_RETRY_SECONDS = 5.0  # after an unexpected error

Ping = Callable[[str], str]


@dataclass(frozen=True)
class _Seen:
    """What the loop told last. `problems`: what needs a hand; `moment` of the monotonic clock."""

    problems: tuple[str, ...]
    healthy: bool
    moment: float


class Herald:
    """Tells people what is in the queue's notices, and a monitor that all is well. `observe` is called by the loop."""

    def __init__(
        self, settings: Notify, state: Path, pace: Pace, send: Send = sending.send, ping: Ping = sending.ping
    ) -> None:
        self._settings = settings
        self._state = state
        self._pace = pace
        self._ping = ping
        self._post = Post(settings, lambda: Queue(state), pace, send)
        self._seen: _Seen | None = None
        self._changed = threading.Event()
        self._ending = threading.Event()
        self._ping_problem = ""
        # Daemons: one that waits for a server must not keep the process.
        self._threads = [
            threading.Thread(target=self._run_post, name="notices", daemon=True),
            threading.Thread(target=self._run_pings, name="ping", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def observe(self, problems: Sequence[str], healthy: bool) -> None:
        """Take over what needs a hand, and whether the service works; returns at once."""
        self._seen = _Seen(tuple(problems), healthy, time.monotonic())

    def reload(self, settings: Notify) -> None:
        """Go on by these settings from the next step on."""
        self._settings = settings
        self._changed.set()

    def problems(self) -> Mapping[str, str]:
        """What a person should know, by what has it; no address is shown."""
        found = dict(self._post.problems())
        if self._ping_problem and self._settings.ping:
            found["notify.ping"] = self._ping_problem
        return found

    def end(self) -> None:
        """Ask the threads to end; returns at once. What was not sent is told after the next start."""
        self._ending.set()

    def join(self, timeout: float) -> None:
        """Wait for a message that is on its way, but not for ever."""
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run_post(self) -> None:
        while not self._ending.is_set():
            try:
                if self._changed.is_set():
                    self._changed.clear()
                    self._post.reload(self._settings)
                seen = self._seen
                self._post.step(None if seen is None else seen.problems, time.monotonic())
                self._ending.wait(self._pace.step)
            except Exception as error:
                # Its text may hold what was sent: only its kind is shown.
                log.error("telling people failed (%s); it is tried again", type(error).__name__)
                self._ending.wait(_RETRY_SECONDS)
        self._post.close()

    def _run_pings(self) -> None:
        trouble = Steady(self._pace.rise, 0.0)
        next_ping = 0.0
        while not self._ending.wait(min(1.0, self._pace.step)):
            url, seen, now = self._settings.ping, self._seen, time.monotonic()
            if not url or seen is None:
                continue
            hangs = now - seen.moment > STALE_SECONDS
            if trouble.update(bool(seen.problems) or not seen.healthy or hangs, now) or now >= next_ping:
                next_ping = now + self._pace.ping
                self._note_ping(self._ping(failing(url) if trouble.holds else url))

    def _note_ping(self, outcome: str) -> None:
        text = "" if outcome == SENT else f"the ping was not taken: {outcome}; is notify.ping right?"
        if text and text != self._ping_problem:
            log.warning("%s", text)
        self._ping_problem = text


def failing(url: str) -> str:
    """The address that tells of trouble: with /fail behind its path."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/fail"))
