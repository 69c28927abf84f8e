"""Files that lie beside a source and belong to it by their name: subtitles, notes, pictures.

Their names begin with the stem of the source, such as `clip.srt`, `clip.en.srt` or `clip.nfo` beside `clip.mov`. They
are copied beside its result under the result's stem, where players look for them. Nothing is replaced and nothing
numbered: a file that has the name already stays. So this can be cut short at any step, and is then done again.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from flashvsr.files import at
from flashvsr.files.advice import BLOCKED, DENIED, GONE, explained
from flashvsr.files.companion_names import IsVideo, companions_of, is_shared, renamed
from flashvsr.files.made import Made
from flashvsr.files.moves import MTIME_SLACK_NS
from flashvsr.files.trees import Trees
from flashvsr.outbox.disposal import move_along
from flashvsr.outbox.publish import Outbox
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

LARGEST = 256 << 20  # bytes of one; pictures of subtitles (.sub) of a long film are some ten MiB
_BLOCK = 1 << 20
_OUT_OF_REACH = DENIED | BLOCKED | GONE


def copy_companions(trees: Trees, source: Path, result: Path, job_id: int, is_video: IsVideo) -> None:
    """Copy the companions of a source beside its published result. Raises Transient; then it is to be done again.

    What cannot be read is left out, and the log says so: links, pipes, and what is too large.
    """
    with explained("copy what lies beside", source):
        try:
            with trees.directory(source.parent) as folder, trees.directory(result.parent) as outbox:
                for name, new in renamed(companions_of(source.name, at.names(folder), is_video), result).items():
                    _copy(Outbox(trees), folder, source.with_name(name), outbox, result.with_name(new), job_id)
        except FileNotFoundError:
            return  # the folder, or the outbox, was taken away with all that is in it


def move_companions(trees: Trees, source: Path, moved: Path, is_video: IsVideo, *, private: bool) -> None:
    """Move the companions of a source that was `moved` beside it, under its stem there. Raises Transient.

    Those that belong to another video of the folder as well stay: the last one takes them along.
    """
    with explained("move what lies beside", source):
        try:
            with trees.directory(source.parent) as folder:
                names = at.names(folder)
        except FileNotFoundError:
            return
    if not is_shared(source.name, names, is_video):
        found = companions_of(source.name, names, is_video)
        move_along(trees, source.parent, renamed(found, moved), moved, private=private)


def _copy(outbox: Outbox, folder: int, path: Path, directory: int, wanted: Path, job_id: int) -> None:
    try:
        descriptor = at.read(folder, path.name)
    except at.NotRegular:
        log.warning("%s is no file and is not copied", printable(path))
        return
    except OSError as error:
        if error.errno not in _OUT_OF_REACH:
            raise
        log.warning("%s is not copied: %s", printable(path), error.strerror)
        return
    with at.closing(descriptor):
        status = os.fstat(descriptor)
        if status.st_size > LARGEST:
            log.warning("%s has more than %d MiB and is not copied", printable(path), LARGEST >> 20)
        elif at.taken(directory, wanted.name):
            if not _looks_like(at.status(directory, wanted.name), status):
                log.info("%s is there already, so %s is not copied", printable(wanted), printable(path.name))
        else:
            _write(outbox, descriptor, status, directory, wanted, job_id)


def _write(outbox: Outbox, source: int, status: os.stat_result, directory: int, wanted: Path, job_id: int) -> None:
    with Made(outbox.temporary_for(wanted, job_id), directory) as made:
        left = status.st_size  # what is added meanwhile is another version
        while left and (block := os.read(source, min(left, _BLOCK))):
            made.write(block)
            left -= len(block)
        made.set_time(status.st_mtime_ns)
        made.sync()
        try:
            made.give_name(directory, wanted.name)
        except FileExistsError:
            return  # somebody was faster, and nothing is replaced
    at.sync_directory(directory)


def _looks_like(one: os.stat_result, other: os.stat_result) -> bool:
    return one.st_size == other.st_size and abs(one.st_mtime_ns - other.st_mtime_ns) < MTIME_SLACK_NS
