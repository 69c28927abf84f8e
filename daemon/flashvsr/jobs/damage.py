"""A queue database that is damaged or gone: set aside, rebuilt from what lies beside it, said loudly."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from flashvsr.files.filesystems import MOUNTINFO
from flashvsr.files.state import StateDirectory
from flashvsr.jobs.backends.sqlite.database_file import damage_of, is_empty, last_number, refuse_network
from flashvsr.jobs.exchange import prepare, prepared, put_in_place
from flashvsr.jobs.ledger import Ledger
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.rows import LARGEST_NUMBER
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

EX_DAMAGED = 65  # EX_DATAERR of sysexits(3), of a worker that finds the database damaged: the service ends then, too
_SAFE_GAP = 1000  # job numbers nobody uses: the damaged database may have given out more than can be told


def heal(state: Path, mountinfo: Path = MOUNTINFO) -> None:
    """Make sure that `state` holds a database that can be used; for the service alone, which has the state's lock.

    A damaged database is moved aside with its journal. The new one knows the jobs that had ended (`Ledger`); the
    inboxes' other files are found by the next scan and queued again. A database of a newer flashvsr is not
    damaged: the queue refuses it. It is done as a whole or, where the service is killed over it, by the next start.
    Raises as `Queue` does.
    """
    refuse_network(state, mountinfo)
    names = StateDirectory(state)
    path = names.database
    ledger = Ledger(state)
    ready = prepared(state)
    if ready is not None and damage_of(ready) is None and not is_empty(ready):
        log.error("the new queue database that an earlier start had begun is complete, and is used from now on")
        put_in_place(state)
        return
    reason = "a new one was made for it" if ready is not None else damage_of(path)
    if reason is not None:
        log.error(
            "the queue database %s is damaged (%s); it is kept under another name, and a new one is made", path, reason
        )
        last = max([0, last_number(path, LARGEST_NUMBER), *ledger.numbers(), *_folders(names.jobs)]) + _SAFE_GAP
    elif not is_empty(path) or not ledger.numbers():
        return
    else:
        log.error("the queue database %s is gone, a new one is made", path)
        last = max([*ledger.numbers(), *_folders(names.jobs)])
    restored: list[int] = []

    def fill(queue: Queue) -> None:
        restored.append(queue.history.restore(ledger.rows(), last))

    prepare(state, fill, mountinfo)
    put_in_place(state)
    log.error(
        "the new queue database knows %d ended jobs, from %s; all other files in the inboxes wait to be done again",
        restored[0],
        ledger.folder,
    )


def set_aside_notes(state: Path) -> list[str]:
    """What a person should know about what was set aside; removing the file tells that it was seen."""
    names = StateDirectory(state)
    databases = [
        f"the queue database was damaged on {_day(names.stamp_of(path))}, and a new one was made. Videos that it "
        "does not know to be finished are done again; where a result's name is taken, the new one gets a number. The "
        f"damaged one is kept as {printable(path)}: remove that file, and this message ends"
        for path in names.all_aside()
    ]
    return databases + Ledger(state).set_aside_notes()


def _folders(jobs_dir: Path) -> Iterator[int]:
    if jobs_dir.is_dir():
        for entry in jobs_dir.iterdir():
            digits = entry.name.partition(".")[0]
            if digits.isascii() and digits.isdecimal() and int(digits) <= LARGEST_NUMBER:
                yield int(digits)


def _day(stamp: str) -> str:
    return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}"
