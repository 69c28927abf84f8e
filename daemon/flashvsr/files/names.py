"""Names for what is put beside other people's files: hidden, short enough, numbered when taken."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

NAME_BYTES = 255  # the longest name that common file systems take

OUR_PREFIX = ".flashvsr-"  # hidden: neither people nor the watcher take such a file for a finished one

_NUMBER = re.compile(r" \(([2-9]|[1-9]\d{1,8})\)", re.ASCII)


def numbered(name: str) -> Iterator[str]:
    """Yield `name`, then "stem (2).ext", "stem (3).ext" and so on, all short enough."""
    yield name
    for number in itertools.count(2):
        yield _with_number(name, number)


def those_numbered(found: Iterable[str], name: str) -> list[str]:
    """Return which of the names `found` are among `numbered(name)`, in that order."""
    path = PurePosixPath(name)
    start, suffix = path.stem[: len(path.stem) // 2], path.suffix  # the part that is never cut off: cheap to compare
    numbers = {1: name} if name in (found := [one for one in found if one.startswith(start)]) else {}
    for one in found:
        match = _NUMBER.fullmatch(one, max(0, one.rfind(" (")), len(one) - len(suffix))
        if match is not None and one == _with_number(name, int(match[1])):
            numbers[int(match[1])] = one
    return [one for _, one in sorted(numbers.items())]


def fitted(stem: str, tail: str) -> str:
    """Return `stem + tail`, with characters taken off the end of the stem until it fits into a file name."""
    room = NAME_BYTES - len(os.fsencode(tail))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + tail


def _with_number(name: str, number: int) -> str:
    path = PurePosixPath(name)
    return fitted(path.stem, f" ({number}){path.suffix}")
