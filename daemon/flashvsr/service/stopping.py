"""A stop in progress: how much time the workers get, and how each further request makes it less patient."""

from __future__ import annotations

import math
from dataclasses import dataclass

FINISH, CHECKPOINT, KILL = "finish", "checkpoint", "kill"

WORDS = {
    FINISH: "running jobs are finished first; stop again to interrupt them",
    CHECKPOINT: "running jobs close their chunk and go on at the next start",
    KILL: "workers are killed; their jobs go on from their last chunk at the next start",
}
_LESS_PATIENT = {FINISH: CHECKPOINT, CHECKPOINT: KILL, KILL: KILL}


@dataclass
class Stop:
    """Not asked for at first (`mode` None). Times are seconds on the monotonic clock."""

    checkpoint_seconds: float  # what workers get to close their chunk
    killed_seconds: float  # a process still there so long after SIGKILL hangs in a driver or a dead share
    mode: str | None = None
    _kill_at: float = math.inf
    _leave_at: float = math.inf

    @property
    def requested(self) -> bool:
        """Whether the service is on its way out."""
        return self.mode is not None

    @property
    def words(self) -> str:
        """What is going on, for people."""
        return WORDS[self.mode] if self.mode else ""

    def request(self, configured: str, now: float) -> str:
        """Count one request: the first stops in the `configured` way, each further one is less patient."""
        self.mode = configured if self.mode is None else _LESS_PATIENT[self.mode]
        if self.mode == CHECKPOINT:
            self._kill_at = now + self.checkpoint_seconds
        elif self.mode == KILL:
            self._kill_at = now
        return self.mode

    def must_kill(self, now: float) -> bool:
        """Whether the workers had their time; true once."""
        if now < self._kill_at:
            return False
        self.mode, self._kill_at, self._leave_at = KILL, math.inf, now + self.killed_seconds
        return True

    def gives_up(self, now: float) -> bool:
        """Whether to leave without those that even SIGKILL does not end."""
        return now >= self._leave_at
