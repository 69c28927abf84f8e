"""Small JSON files that the service keeps for itself: disks fail and people tidy up, so each may hold anything.

Nobody but the service's account writes them. What cannot be used is told from what is not there, and moved out of the
way by whoever needs the name.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flashvsr.files.advice import NO_FILE
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

LARGEST = 1 << 20  # bytes
DAMAGED = ".damaged"  # how the name of what was set aside ends, before a number
MOST = 1000  # things set aside under one name


class Unusable(ValueError):
    """The file does not hold a JSON object; the text says what is wrong instead."""


def read_object(path: Path, largest: int = LARGEST) -> dict[str, Any] | None:
    """Read a JSON object, ASCII with escapes; None if there is no such file. Raises Unusable, and OSError of the disk.

    No link is followed, and nothing waited for.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in NO_FILE:
            raise Unusable("it is no file") from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unusable("it is no file")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(largest + 1)
    finally:
        os.close(descriptor)
    if len(data) > largest:
        raise Unusable(f"it is larger than {largest >> 20} MiB")
    try:
        return object_of(data.decode("ascii"))
    except UnicodeDecodeError as error:
        raise Unusable("it holds bytes that are no ASCII") from error


def object_of(text: str) -> dict[str, Any]:
    """Read the text of a JSON object. Raises Unusable."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unusable("it is no JSON") from error
    if not isinstance(found, dict):
        raise Unusable("it is no JSON object")
    return found


def clear_name(path: Path, wanted: Callable[[int], bool] = stat.S_ISREG) -> Path | None:
    """Set aside what has this name and is no file, such as a folder or a link; where it is now. Raises OSError.

    `wanted`: what may be there, told by its mode, where that is something else than a file.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    if wanted(mode):
        return None
    where = set_aside(path)
    log.error("%s was in the way and is none of ours; it is kept as %s", printable(path), printable(where))
    return where


def set_aside(path: Path, folder: Path | None = None) -> Path:
    """Give what has this name another one that says it is damaged, in its own folder or another. Raises OSError."""
    folder = folder or path.parent
    for number in range(1, MOST + 1):
        name = folder / f"{path.name}{DAMAGED}{f'-{number}' if number > 1 else ''}"
        if not os.path.lexists(name):
            return path.rename(name)
    raise FileExistsError(errno.EEXIST, "too many damaged ones lie there already", str(path))
