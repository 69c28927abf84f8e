"""What the loop needs of `flashvsr.upscaling.file`, which brings torch and the decoders with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset


class Engine(Protocol):
    """The loaded model on its device."""

    @property
    def name(self) -> str:
        """Name of the model, as results name it."""


class Report(Protocol):
    """What came of one file."""

    @property
    def result(self) -> Path:
        """The published file."""

    @property
    def model(self) -> str:
        """Name of the model that made it."""

    @property
    def warnings(self) -> list[str]:
        """What a person should know although it worked."""

    def to_json(self) -> str:
        """All of it, for the history."""


class Control(Protocol):
    """Whom the work reports to (`flashvsr.worker.control.JobControl`)."""

    def progress(self, done: int, total: int | None, fps: float) -> None:
        """Frames done; raises Cancelled, Interrupted or LeaseLost."""

    def check_outbox(self) -> None:
        """To call before anything is created in the outbox; raises ShareAway while its share is not mounted."""

    def check_room(self, needs: Sequence[tuple[Path, int]]) -> None:
        """To call before the work with the bytes that each directory will take; raises NoSpace."""

    def working(self) -> None:
        """Something else than new frames got done; raises as `progress` does."""

    def present(self, task: Any) -> Any:
        """To call before the result is written: the task under the name that its source has now, for people rename."""

    def publishing(self, report: Report, size: int, mtime_ns: int) -> None:
        """The result is about to be renamed to `report.result`; a crash from here on must not lose the report.

        Raises SourceRenamed if that is not its place any more: then ask `present` again.
        """


class Upscaling(Protocol):
    """The module, as far as the loop uses it. Its own types stay its own: the loop only hands them around."""

    def Task(self, *, source: Path, target: Path, preset: Preset, workdir: Path, job_id: int) -> Any:
        """The work on one file."""

    def load_engine(self, config: Config, on_message: Callable[[str], None]) -> Any:
        """Load the model (an `Engine`), fetching its weights first if need be; BadConfig or Transient."""

    def upscale_file(self, task: Any, engine: Any, settings: Config, control: Control) -> Any:
        """Do the work and publish the result; return the `Report`."""

    def salvage(self, task: Any, settings: Config, reason: str, working: Callable[[], None]) -> Path | None:
        """Publish what finished chunks there are as `<name>_partial`; None if there are none.

        `working` is called whenever something got done.
        """
