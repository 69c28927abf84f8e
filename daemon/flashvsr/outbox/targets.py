"""Names in an outbox: the shape of the source's path, short enough."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from flashvsr.errors import BadInput, Fault
from flashvsr.files.name_template import filled
from flashvsr.files.names import fitted
from flashvsr.system.text import printable


@dataclass(frozen=True)
class Naming:
    """How a result is called as soon as its size is known.

    Attributes:
        template: of the preset.
        stem: the source's name without its ending, or one that tells it from others of that name.
        preset: the name of the folder that the preset lies in.
        container: the ending of the result.
    """

    template: str
    stem: str
    preset: str
    container: str

    def name(self, width: int, height: int, scale: float, model: str) -> str:
        """The name of a result of `width` x `height` pixels, made by `model` at this scale."""
        values = {"width": width, "height": height, "scale": scale, "model": model, "preset": self.preset}
        return filled(self.template, self.stem, values, f".{self.container}")


def target_for(outbox: Path, relative: str, container: str, suffix: str = "", stem: str | None = None) -> Path:
    """Return where the result of the source `relative` goes: same directories, `<stem><suffix>.<container>`.

    `stem`: instead of the source's own. A name that would get too long loses the end of its stem. Raises BadInput if
    `relative` leads out of the outbox.
    """
    path = inside(outbox, relative)
    return path.with_name(fitted(path.stem if stem is None else stem, f"{suffix}.{container}"))


def inside(directory: Path, relative: str) -> Path:
    """Return `directory / relative`; raises BadInput if that is not surely below `directory`."""
    inner = PurePosixPath(relative)
    if inner.is_absolute() or ".." in inner.parts or not inner.name:
        raise BadInput(
            f"{printable(relative)} is no path inside an inbox; nothing was written for it.", fault=Fault.NO_FILE
        )
    return directory / inner
