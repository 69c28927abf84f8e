"""Look into a tree of directories of any depth: step by step, in opened ones, following no link."""

from __future__ import annotations

import os
from collections.abc import Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def walk(top: int, deepest: int) -> Iterator[tuple[int, list[str]]]:
    """Yield an opened directory, then those below it down to `deepest`, each opened, with the names of what is none.

    0 is `top` alone, which stays open; the others are closed when the next one is asked for. What cannot be opened is
    left out. Raises OSError if `top` cannot be read.
    """
    names, directories = _listed(top)
    yield top, names
    levels = [(top, directories)]
    try:
        while levels:
            above, directories = levels[-1]
            if not directories or len(levels) > deepest:
                levels.pop()
                if levels:
                    os.close(above)
                continue
            try:
                inner = os.open(directories.pop(), _DIRECTORY, dir_fd=above)
            except OSError:
                continue  # gone, or not for us to see
            levels.append((inner, []))
            names, found = _listed(inner)
            levels[-1] = (inner, found)
            yield inner, names
    finally:
        for opened, _ in levels[1:]:
            os.close(opened)


def _listed(directory: int) -> tuple[list[str], list[str]]:
    names: list[str] = []
    directories: list[str] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            (directories if entry.is_dir(follow_symlinks=False) else names).append(entry.name)
    return names, directories
