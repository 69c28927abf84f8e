"""Signals as a queue: handlers only note what came, the loop deals with it when it is ready to."""

from __future__ import annotations

import select
import signal
import socket
from collections import deque
from collections.abc import Iterable
from types import FrameType, TracebackType
from typing import Any


class SignalQueue:
    """Context manager that collects the given signals and lets a loop sleep until one arrives.

    Only the main thread can enter it. On leaving, the former handlers are back.
    """

    def __init__(self, wanted: Iterable[signal.Signals]) -> None:
        self._wanted = tuple(wanted)
        self._arrived: deque[signal.Signals] = deque()
        self._former: dict[signal.Signals, Any] = {}
        self._former_fd = -1

    def __enter__(self) -> SignalQueue:
        self._wake, self._bell = socket.socketpair()
        self._wake.setblocking(False)
        self._bell.setblocking(False)
        # The interpreter writes to this socket when a signal comes in, which ends a sleeping select().
        self._former_fd = signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        for number in self._wanted:
            self._former[number] = signal.signal(number, self._note)
        # Whoever started this process may have held them back until there was a handler.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._wanted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former_fd)
        self._wake.close()
        self._bell.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._arrived.append(signal.Signals(number))

    def take(self) -> list[signal.Signals]:
        """The signals that came since the last call, in order."""
        taken = []
        while self._arrived:
            taken.append(self._arrived.popleft())
        return taken

    def wait(self, seconds: float) -> None:
        """Sleep for this long, or until a signal is there."""
        if self._arrived:
            return
        select.select([self._wake], [], [], seconds)
        try:
            while self._wake.recv(256):
                continue
        except BlockingIOError:
            return  # emptied
