"""Files that have stood still long enough are looked at once more and handed to the queue."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from flashvsr.errors import FlashVSRError
from flashvsr.files.trees import Trees
from flashvsr.inbox.contained import unforeseen
from flashvsr.inbox.settle import has_writer
from flashvsr.inbox.stock import Stock, obstacle
from flashvsr.inbox.unfinished import Companions
from flashvsr.inbox.walk import lookup, names_beside
from flashvsr.jobs.intake import Source, Terms
from flashvsr.jobs.queue import Queue
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

_BATCH = 500  # files made jobs in one step, so that a flood never keeps a step busy for long

Locate = Callable[[Path], tuple[Path, str] | None]


class Handover:
    """Makes jobs of settled files; one that cannot be handed over waits, and holds up no other."""

    def __init__(self, trees: Trees, queue: Queue, stock: Stock, locate: Locate) -> None:
        self._trees = trees
        self._queue = queue
        self._stock = stock
        self._locate = locate

    def step(self, terms: Terms, now: float) -> None:
        """Hand over what is due. `terms`: on which the inboxes' jobs begin to wait. Raises as the queue does."""
        beside: dict[Path, Companions] = {}  # each directory is listed once, however many files in it are due
        due = self._stock.settler.due(now)[:_BATCH]
        ready = [source for path in due if (source := self._settled(path, beside, now)) is not None]
        for source, number in self._add(ready, terms, now) if ready else ():
            self._stock.note_job(source)
            if number is None:
                log.info("%s has its job already", printable(source.source))
            else:
                log.info("job %d: %s", number, printable(source.source))

    def _settled(self, path: Path, beside: dict[Path, Companions], now: float) -> Source | None:
        """Look at a waiting file once more; None if it has to wait on, or need not wait any more."""
        try:
            return self._look(path, beside, now)
        except OSError as error:
            self._wait(path, f"waiting because they cannot be looked at ({error.strerror})", now)
        except Exception as error:
            self._fail(path, error, now)
        return None

    def _look(self, path: Path, beside: dict[Path, Companions], now: float) -> Source | None:
        place = self._locate(path)
        stat = None if place is None else lookup(self._trees, *place)
        if place is None or stat is None or obstacle(path, stat):
            self._stock.settler.forget(path)
            return None
        if not self._stock.settler.observe(path, stat, now):
            return None
        if path.parent not in beside:
            beside[path.parent] = Companions(names_beside(self._trees, *place))
        if stat.st_size == 0:
            self._wait(path, "", now)
        elif beside[path.parent].of(path.name):
            self._wait(path, "still being downloaded or copied", now)
        elif has_writer(self._trees, path):
            self._wait(path, "still open for writing in some program", now)
        else:
            return Source.of(place[0], path, place[1], stat)
        return None

    def _add(self, ready: Sequence[Source], terms: Terms, now: float) -> Sequence[tuple[Source, int | None]]:
        """Return the files that the queue took, with the numbers of their jobs; None where a file has one already."""
        try:
            return list(zip(ready, self._queue.intake.add_many(ready, terms, self._trees), strict=True))
        except FlashVSRError:
            raise  # what is wrong is the queue, not a file
        except Exception as error:
            if len(ready) == 1:
                self._fail(Path(ready[0].source), error, now)
                return ()
        return [added for source in ready for added in self._add([source], terms, now)]

    def _wait(self, path: Path, why: str, now: float) -> None:
        if why and self._stock.waits.get(path) != why:
            log.info("%s: %s", printable(path), why)
        self._stock.waits[path] = why
        self._stock.settler.restart(path, now)

    def _fail(self, path: Path, error: Exception, now: float) -> None:
        why = f"waiting because of an error that nobody expected ({unforeseen(error)}); it is tried again"
        if self._stock.waits.get(path) != why:
            log.error("%s: %s", printable(path), why, exc_info=error)
        self._stock.waits[path] = why
        self._stock.settler.restart(path, now)
