"""What the service asks of a worker, by signals."""

from __future__ import annotations

import signal
from typing import Protocol

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)


class Arrivals(Protocol):
    """Where signals queue up (`flashvsr.system.signals.SignalQueue`)."""

    def take(self) -> list[signal.Signals]:
        """The signals since the last call."""


class Orders:
    """SIGTERM: give the job back and leave. SIGUSR1: finish it and leave. SIGHUP: read the settings again."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._interrupt = False
        self._leave = False
        self._reload = False

    @property
    def interrupt(self) -> bool:
        """Whether the running job must stop now."""
        self._listen()
        return self._interrupt

    @property
    def leave(self) -> bool:
        """Whether no further job may start."""
        self._listen()
        return self._leave

    def take_reload(self) -> bool:
        """Whether the settings are to be read again; true once for each request."""
        self._listen()
        wanted, self._reload = self._reload, False
        return wanted

    def _listen(self) -> None:
        for number in self._arrivals.take():
            self._interrupt |= number == signal.SIGTERM
            self._leave |= number in (signal.SIGTERM, signal.SIGUSR1)
            self._reload |= number == signal.SIGHUP
