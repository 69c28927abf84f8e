"""A fact that flaps, made steady: it has to hold for a while before it counts."""

from __future__ import annotations


class Steady:
    """Whether something is so, with patience. Times are seconds of one clock.

    `rise`: how long it must be seen, without a gap as long as that, before it counts; `fall`: how long it must be gone
    before it counts no more.
    """

    def __init__(self, rise: float, fall: float, holds: bool = False) -> None:
        self._rise = rise
        self._fall = fall
        self._since: float | None = None  # when it was first seen
        self._gone: float | None = None  # when it was first missed
        self.holds = holds

    def update(self, seen: bool, now: float) -> bool:
        """Take over what is seen now; whether `holds` changed by it."""
        if seen:
            self._gone = None
            self._since = now if self._since is None else self._since
            if not self.holds and now - self._since >= self._rise:
                self.holds = True
                return True
            return False
        self._gone = now if self._gone is None else self._gone
        if now - self._gone >= min(self._rise, self._fall):
            self._since = None
        if self.holds and now - self._gone >= self._fall:
            self.holds = False
            return True
        return False
