"""Decode, model and encode overlap: threads run ahead of the model, another one behind it, all bounded."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")

_WAIT_SECONDS = 0.5
_POLL_SECONDS = 0.1  # how soon a thread that waits for room notices that it is no longer wanted


class _End:
    """Marks the end of what a thread passes on, with the error that ended it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class RunAhead(Generic[T]):
    """Takes items from `source` in a thread of its own, at most `room` of them ahead of whoever iterates.

    `head_start`: items to have before the first one is handed out. `waiting` is called now and then by whoever
    iterates while there is nothing yet. What it raises comes out of the iteration, as do errors of the source.
    Close it in any case; `source` is then left alone, and whoever still iterates comes to an end. `name`: the thread's.
    """

    def __init__(
        self,
        source: Iterator[T],
        room: int,
        head_start: int = 0,
        waiting: Callable[[], None] = lambda: None,
        *,
        name: str = "decode",
    ) -> None:
        self._source = source
        self._waiting = waiting
        self._items: queue.Queue[T | _End] = queue.Queue(max(1, room))
        self._unwanted = threading.Event()
        self._started = threading.Event()
        self._head_start = min(head_start, room)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        """Yield the items in order."""
        while not self._started.wait(_WAIT_SECONDS):
            self._waiting()
        while not self._unwanted.is_set():
            try:
                item = self._items.get(timeout=_WAIT_SECONDS)
            except queue.Empty:
                self._waiting()
                continue
            if not isinstance(item, _End):
                yield item
                continue
            if item.error is not None:
                raise item.error
            return

    def close(self) -> None:
        """Stop the thread and wait for it."""
        self._unwanted.set()
        self._started.set()
        self._thread.join()
        with suppress(queue.Full):
            self._items.put_nowait(_End())  # for a thread that waits for an item

    def _run(self) -> None:
        end = _End()
        try:
            for number, item in enumerate(self._source, 1):
                if not self._put(item):
                    return
                if number >= self._head_start:
                    self._started.set()
        except BaseException as error:
            end = _End(error)
        self._started.set()
        self._put(end)

    def _put(self, item: T | _End) -> bool:
        while not self._unwanted.is_set():
            try:
                self._items.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False


class WriteBehind(Generic[T]):
    """Hands items to `write` in a thread of its own, at most `room` of them waiting.

    An error of `write` is raised by the next `put` or by `finish`; nothing is written after it.
    """

    def __init__(self, write: Callable[[T], None], room: int) -> None:
        self._write = write
        self._items: queue.Queue[T | _End] = queue.Queue(max(1, room))
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="encode", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Pass an item on; waits while there is no room."""
        self._raise()
        self._items.put(item)

    def finish(self, waiting: Callable[[], None] = lambda: None) -> None:
        """Wait until everything is written. `waiting` is called now and then meanwhile, and may raise."""
        if self._thread.is_alive():
            self._items.put(_End())
        while self._thread.is_alive():
            self._thread.join(_WAIT_SECONDS)
            waiting()
        self._raise()

    def join(self) -> None:
        """Wait until everything is written or given up; raises nothing."""
        if self._thread.is_alive():
            self._items.put(_End())
            self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while not isinstance(item := self._items.get(), _End):
            if self._error is None:  # after an error items are only taken, so that `put` never waits for ever
                try:
                    self._write(item)
                except BaseException as error:
                    self._error = error
