"""Names in an outbox: the shape of the source's path, short enough."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from flashvsr.errors import BadInput, Fault
from flashvsr.files.names import fitted
from flashvsr.system.text import printable


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
        raise BadInput(
            f"{printable(relative)} is no path inside an inbox; nothing was written for it.", fault=Fault.NO_FILE
        )
    return directory / inner
