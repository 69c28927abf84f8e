"""Whom the work on a file reports to, and who may end it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flashvsr.upscaling.report import Report
    from flashvsr.upscaling.task import Task
    from flashvsr.video.geometry import Geometry


class Control:
    """Hears of the work and lets it go on. Whoever wants to know or to stop more overrides a method.

    What a method raises ends the work and comes out of it. All are called by the thread that does the work.
    """

    def progress(self, done: int, total: int | None, fps: float) -> None:
        """So many frames are done, out of `total` where that is known, `fps` a second in this attempt."""

    def working(self) -> None:
        """Something else than new frames got done: packets joined, frames checked or skipped."""

    def check_outbox(self) -> None:
        """To call before anything is created where the result goes. Raises Transient while that is away."""

    def check_room(self, needs: Sequence[tuple[Path, int]]) -> None:
        """To call before the work, with the bytes that each directory will take. Raises NoSpace."""

    def planned(self, source: tuple[int, int], geometry: Geometry, frames: int | None, remarks: Sequence[str]) -> None:
        """It is decided what will be made of the file; to call before the first frame.

        `source`: its (width, height); `frames`: as many as it says it has; `remarks`: how the result will differ.
        """

    def present(self, task: Task) -> Task:
        """To call before the result is written: the task under the name its source has now, for people rename."""
        return task

    def publishing(self, report: Report, size: int, mtime_ns: int) -> None:
        """The result is about to be renamed to `report.result`; a crash from here on must not lose the report.

        Raises SourceRenamed if that is not its place any more: then `present` is asked again.
        """
