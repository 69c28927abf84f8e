from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def world_readable() -> Callable[[Path], None]:
    """Open the way to a directory for other users; pytest makes its directories private."""

    def open_way(path: Path) -> None:
        for parent in (path, *path.parents):
            if parent.owner() == "root" and "pytest" in str(parent):
                parent.chmod(0o755)

    return open_way


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    disk = tmp_path / "small disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mount.returncode:
        pytest.skip(f"cannot mount here: {mount.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
