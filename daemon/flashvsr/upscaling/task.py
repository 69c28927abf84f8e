"""What is to be done with one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flashvsr.files.trees import Trees
from flashvsr.outbox.targets import Naming
from flashvsr.settings.preset import Preset


@dataclass(frozen=True)
class Task:
    """The work on one file.

    Attributes:
        source: the video.
        target: the wished name of the result; one that is taken is numbered. Where there is a `naming`, the result is
            called by that instead, in the same directory.
        preset: what happens to it.
        workdir: a folder of the job's own, for its chunks. What is there already is gone on with.
        job_id: tells the hidden files of one job from those of another.
        trees: the way to source and target, which may lie where other people write.
        thumbnail: where a small picture of the result goes, None for nowhere.
        force: whether it is done although the preset's limit would skip it.
        naming: how the result is called once its size is known.
    """

    source: Path
    target: Path
    preset: Preset
    workdir: Path
    job_id: int
    trees: Trees
    force: bool = False
    thumbnail: Path | None = None
    naming: Naming | None = None

    def result(self, width: int, height: int, model: str) -> Path:
        """The wished name of a result of this size, in pixels, by this model."""
        if self.naming is None:
            return self.target
        return self.target.with_name(self.naming.name(width, height, self.preset.scale, model))
