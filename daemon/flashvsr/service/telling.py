"""What the service tells to others than systemd: messages, pings and metrics. All of it in threads of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flashvsr.notify.herald import Herald
from flashvsr.notify.post import Pace
from flashvsr.service.metrics_thread import MetricsThread
from flashvsr.settings.config import Config
from flashvsr.status.snapshot import Snapshot
from flashvsr.system.devices import Slot

END_SECONDS = 3.0  # what a message on its way gets when the service ends


class Telling:
    """All of these together; every method but `finish` returns at once."""

    def __init__(self, config: Config, slots: Sequence[Slot], pace: Pace) -> None:
        state = config.paths.state
        self._herald = Herald(config.notify, state, pace)
        self._metrics = MetricsThread(config.status.metrics, state, slots)

    def start(self) -> None:
        self._herald.start()
        self._metrics.start()

    def observe(self, snapshot: Snapshot, healthy: bool) -> None:
        """Take over what is known at the moment."""
        ours = {subject for subject, _ in self.problems()}  # nobody could be told of those
        self._herald.observe([str(problem) for problem in snapshot.problems if problem.subject not in ours], healthy)
        self._metrics.observe(len(snapshot.problems))

    def reload(self, config: Config) -> None:
        """Go on by these settings."""
        self._herald.reload(config.notify)
        self._metrics.reload(config.status.metrics)

    def problems(self) -> Iterator[tuple[str, str]]:
        """What a person should know, as (what has it, text)."""
        yield from self._herald.problems().items()
        if problem := self._metrics.problem():
            yield "metrics", problem

    def finish(self) -> None:
        """End the threads, and wait a moment for them."""
        self._herald.end()
        self._metrics.end()
        self._herald.join(END_SECONDS)
