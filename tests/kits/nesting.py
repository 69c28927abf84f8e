"""Directories in directories, deeper than Python recurses; with longer names also than the kernel takes in one path."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def nested(top: Path, levels: int = 1500, name: str = "d") -> Iterator[None]:
    """Make so many levels below `top`, for a while: what pytest removes its directories with recurses itself."""
    directory = os.open(top, os.O_RDONLY)
    try:
        for _ in range(levels):
            os.mkdir(name, dir_fd=directory)
            inner = os.open(name, os.O_RDONLY, dir_fd=directory)
            os.close(directory)
            directory = inner
        yield
    finally:
        os.close(directory)
        subprocess.run(["rm", "-rf", top / name], check=True)
