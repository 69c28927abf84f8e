"""Files of the service's own that get their name only when they are on the disk whole.

Small texts are written so by `flashvsr.files.texts`, and what goes into a share by `flashvsr.files.made`.
"""

from __future__ import annotations

import os
from pathlib import Path

from flashvsr.files import at
from flashvsr.files.trees import OWN


def name_durably(path: Path, name: Path) -> None:
    """Bring a finished file to the disk, then give it another name in its directory, replacing what has it.

    Survives a power cut when it returns. Raises OSError.
    """
    with at.closing(OWN.open_file(path, os.O_RDONLY)) as descriptor:
        os.fsync(descriptor)
    path.replace(name)
    sync_names(name.parent)


def sync_names(directory: Path) -> None:
    """Bring a directory's list of names to the disk. Raises OSError."""
    with OWN.directory(directory) as descriptor:
        at.sync_directory(descriptor)
