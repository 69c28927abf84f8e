"""A new queue database in the place of another, all or nothing: whatever kills the service, the next start goes on.

    queue.building.db        is being filled: removed at the next start
    queue.rebuilt-<when>.db  is complete and on the disk: from its name on the old database is given up
    queue.damaged-<when>.db  the old one, with its journals under the same name

The rename from the first name to the second decides. Before it nothing is changed; after it nothing is looked at any
more, and the rest is three renames that may be done twice.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from flashvsr.errors import Transient
from flashvsr.files.advice import explained
from flashvsr.files.durable import name_durably, sync_names
from flashvsr.files.filesystems import MOUNTINFO
from flashvsr.files.objects import clear_name
from flashvsr.files.state import StateDirectory
from flashvsr.jobs.backends.sqlite.database_file import JOURNALS, is_empty
from flashvsr.jobs.queue import Queue
from flashvsr.system.text import printable


def prepare(state: Path, fill: Callable[[Queue], None], mountinfo: Path = MOUNTINFO) -> None:
    """Make a database, let `fill` put in what it shall hold, and bring it to the disk. Raises as `Queue` does."""
    names = StateDirectory(state)
    building = names.building
    with explained("write", building):
        for path in (building, *_journals_of(building)):
            clear_name(path)
            path.unlink(missing_ok=True)
    with closing(Queue(state, mountinfo, building)) as queue:
        fill(queue)
    if any(map(os.path.lexists, _journals_of(building))):  # closing works them into the database
        raise Transient(f"Somebody else has {printable(building)} open; what is it? The next start tries again.")
    with explained("write", building):
        name_durably(building, prepared(state) or names.rebuilt(_free_stamp(names)))


def prepared(state: Path) -> Path | None:
    """The complete database that waits to be put in place, if there is one."""
    return max(StateDirectory(state).all_rebuilt(), default=None)


def put_in_place(state: Path) -> Path | None:
    """Set the old database aside and give the prepared one its name; where the old one is now, if there was one."""
    new = prepared(state)
    assert new is not None, "nothing is prepared"
    names = StateDirectory(state)
    path, aside = names.database, names.aside(names.stamp_of(new))
    with explained("write", path):
        # The journals first: a database without them may look sound, but then this comes here again.
        for suffix in (*JOURNALS, ""):
            old = path.with_name(path.name + suffix)
            if os.path.lexists(old) and (suffix or not is_empty(path)):
                old.rename(_unused(names, aside, suffix))
        sync_names(state)  # before a new database could meet the old one's journals
        new.replace(path)
        sync_names(state)
    return aside if os.path.lexists(aside) else None


def _journals_of(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in JOURNALS]


def _unused(names: StateDirectory, aside: Path, suffix: str) -> Path:
    """The name to set a file aside under: never that of another one, such as of the start that was interrupted."""
    if os.path.lexists(aside.with_name(aside.name + suffix)):
        aside = names.aside(_free_stamp(names))
    return aside.with_name(aside.name + suffix)


def _free_stamp(names: StateDirectory) -> str:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number in range(1, 1000):
        free = f"{stamp}{f'-{number}' if number > 1 else ''}"
        path = names.aside(free)
        if not any(path.parent.glob(f"{path.name}*")):  # not even of a journal
            return free
    raise AssertionError("a thousand databases were damaged within a second")
