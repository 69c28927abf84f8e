"""Names in an outbox: the shape of the source's path, short enough, numbered when taken."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from flashvsr.errors import BadInput
from flashvsr.text import printable

NAME_BYTES = 255  # the longest name that common file systems take

OUR_PREFIX = ".flashvsr-"


def target_for(outbox: Path, relative: str, container: str, suffix: str = "") -> Path:
    """Return where the result of the source `relative` goes: same directories, `<stem><suffix>.<container>`.

    A name that would get too long loses the end of its stem. Raises BadInput if `relative` leads out of the
    outbox.
    """
    path = inside(outbox, relative)
    return path.with_name(fitted(path.stem, f"{suffix}.{container}"))


def inside(directory: Path, relative: str) -> Path:
    """Return `directory / relative`; raises BadInput if that is not surely below `directory`."""
    inner = PurePosixPath(relative)
    if inner.is_absolute() or ".." in inner.parts or not inner.name:
        raise BadInput(f"{printable(relative)} is no path inside an inbox; nothing was written for it.")
    return directory / inner


def numbered(name: str) -> Iterator[str]:
    """Yield `name`, then "stem (2).ext", "stem (3).ext" and so on, all short enough."""
    yield name
    path = PurePosixPath(name)
    for number in itertools.count(2):
        yield fitted(path.stem, f" ({number}){path.suffix}")


def fitted(stem: str, tail: str) -> str:
    """Return `stem + tail`, with characters taken off the end of the stem until it fits into a file name."""
    room = NAME_BYTES - len(os.fsencode(tail))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + tail
