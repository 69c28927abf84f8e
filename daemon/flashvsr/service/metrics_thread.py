"""Keeps the file of metrics up to date, in a thread of its own: a GPU's driver or a disk may take its time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from flashvsr.files.advice import reason
from flashvsr.files.texts import write_replacing
from flashvsr.jobs.figures import QueueFigures
from flashvsr.jobs.queue import Queue
from flashvsr.status.gauges import metrics_text
from flashvsr.system.devices import Reading, Slot, readings
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

WRITE_SECONDS = 15.0  # at the latest
LEAST_SECONDS = 2.0  # between two writes, however much changes
STEP_SECONDS = 1.0

ReadGpus = Callable[[Sequence[Slot]], list[Reading]]


class MetricsThread:
    """Writes `path`, if there is one. `observe` and `reload` are called by the loop of the service."""

    def __init__(self, path: Path | None, state: Path, slots: Sequence[Slot], read_gpus: ReadGpus = readings) -> None:
        self._path = path
        self._state = state
        self._slots = slots
        self._read_gpus = read_gpus
        self._started = time.time()
        self._problems = 0
        self._trouble = ""
        self._written: object = None
        self._next_write = 0.0
        self._least = 0.0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def observe(self, problems: int) -> None:
        """Take over how many problems there are."""
        self._problems = problems

    def reload(self, path: Path | None) -> None:
        """Write this file from the next step on."""
        if path != self._path:
            self._path, self._next_write = path, 0.0

    def problem(self) -> str:
        """Why the file cannot be written; empty if it can."""
        return self._trouble if self._path is not None else ""

    def end(self) -> None:
        """Ask the thread to end; returns at once."""
        self._ending.set()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                with closing(Queue(self._state)) as queue:
                    self._serve(queue)
            except Exception as error:  # the supervisor says what is wrong with the queue
                log.debug("the metrics do without the queue: %s", error)
                self._step(None)
                self._ending.wait(WRITE_SECONDS)

    def _serve(self, queue: Queue) -> None:
        version: object = None
        figures: QueueFigures | None = None
        while not self._ending.wait(STEP_SECONDS):
            if self._path is not None:
                now, ticks = queue.store.version(), time.monotonic()
                news = now != version and ticks >= self._least  # else nothing is written yet
                if figures is None or news or ticks >= self._next_write:
                    version, figures = now, queue.figures.read()
                self._step(figures)

    def _step(self, figures: QueueFigures | None) -> None:
        """Write, if it is time or something that is counted has changed."""
        path, now = self._path, time.monotonic()
        tells = path, self._problems, None if figures is None else (figures.counts, figures.last_success)
        if path is None or now < self._least or (tells == self._written and now < self._next_write):
            return
        self._least, self._next_write = now + LEAST_SECONDS, now + WRITE_SECONDS
        text = metrics_text(figures, self._read_gpus(self._slots), self._problems, self._started, time.time())
        try:
            write_replacing(path, text)
        except OSError as error:
            trouble = f"the metrics cannot be written to {printable(path)}: {reason('write', path, error)}"
            if trouble != self._trouble:
                log.warning("%s", trouble)
            self._trouble = trouble
        else:
            self._trouble, self._written = "", tells
