"""Hidden files that a crash left while something was written, and that nobody comes back for."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Container
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG

from flashvsr.files import at
from flashvsr.files.names import OUR_PREFIX
from flashvsr.files.trees import Trees
from flashvsr.outbox.publish import RESULT_NAME
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

# Small texts by the process that wrote them, see `hidden_text_name`.
_TEXT = re.compile(re.escape(OUR_PREFIX) + r"\d+-[0-9a-f]{8}\.tmp", re.ASCII)
DEEPEST = 80  # levels of an outbox: more than an inbox is looked into, so more than results have


def remove_texts(trees: Trees, directory: Path, limit: float) -> int:
    """Remove half-written texts in a directory, not below it, that nobody wrote to since `limit`; how many.

    `limit`: seconds since the epoch, so long ago that whoever wrote has given up. What cannot be removed is logged.
    """
    return _remove(trees, directory, limit, lambda name: bool(_TEXT.fullmatch(name)), 0)


def remove_all(trees: Trees, outbox: Path, limit: float, running: Container[int]) -> int:
    """Remove half-written texts and results anywhere in an outbox. Results of the jobs `running` stay."""

    def is_left(name: str) -> bool:
        result = RESULT_NAME.fullmatch(name)
        return bool(_TEXT.fullmatch(name)) if result is None else int(result[1]) not in running

    return _remove(trees, outbox, limit, is_left, DEEPEST)


def _remove(trees: Trees, top: Path, limit: float, is_left: Callable[[str], bool], deepest: int) -> int:
    removed = 0
    try:
        for directory, names in trees.walk(top, deepest):
            for name in filter(is_left, names):
                with suppress(FileNotFoundError):  # its owner was there first
                    status = at.status(directory, name)
                    # People's files that only look like ours are none: no name of ours is a link or a pipe.
                    if S_ISREG(status.st_mode) and status.st_mtime < limit:
                        removed += at.remove(directory, name)
    except FileNotFoundError:
        return removed  # nothing was ever put there
    except OSError as error:
        log.warning("cannot look for leftovers in %s: %s", printable(top), error.strerror)
    return removed
