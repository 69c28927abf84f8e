"""The name and the time of a result, through the whole chain."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.errors import Cancelled, SourceRenamed
from flashvsr.files.trees import NO_LINKS
from flashvsr.outbox.targets import Naming
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Chunks
from flashvsr.upscaling.file import upscale_file
from flashvsr.upscaling.report import Report
from flashvsr.upscaling.salvage import salvage
from flashvsr.upscaling.task import Task
from kits.chain import SAME, IdentityEngine, Watching, chain
from kits.videos import numbered, write_video

OLD = 900_000_000_123_456_789
CONFIG = Config(chunks=Chunks(size=8))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = write_video(tmp_path / "clip.mov", [numbered(number) for number in range(24)])
    os.utime(path, ns=(OLD, OLD))
    return path


def task_of(clip: Path, template: str, stem: str = "clip") -> Task:
    out = clip.parent / "out"
    out.mkdir(exist_ok=True)
    naming = Naming(template, stem, "films", "mp4")
    return Task(clip, out / f"{stem}.mp4", SAME, clip.parent / "work", 1, NO_LINKS, naming=naming)


class Recording(Watching):
    def __init__(self, at_first: Exception | None = None, then: Task | None = None) -> None:
        super().__init__()
        self.told: list[tuple[Path, int, int]] = []
        self._at_first, self._then = at_first, then

    def present(self, task: Task) -> Task:
        return task if self._then is None else self._then

    def publishing(self, report: Report, size: int, mtime_ns: int) -> None:
        if self._at_first is not None:
            error, self._at_first = self._at_first, None
            raise error
        self.told.append((report.result, size, mtime_ns))


def test_a_result_has_the_time_of_its_source_before_it_has_its_name(clip: Path, tmp_path: Path) -> None:
    control = Recording()
    report = chain(clip, tmp_path, CONFIG, control)
    status = report.result.stat()
    assert status.st_mtime_ns == OLD
    assert control.told == [(report.result, status.st_size, OLD)], "what is recorded finds it again after a crash"


def test_so_has_a_partial_one(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        chain(clip, tmp_path, CONFIG, Watching(stop_at=20, error=Cancelled("cancelled")))
    partial = salvage(task_of(clip, "{stem} {model}"), CONFIG, "cancelled")
    assert partial is not None
    assert (partial.name, partial.stat().st_mtime_ns) == ("clip_partial.mp4", OLD)


def test_the_name_is_made_when_the_size_is_known(clip: Path) -> None:
    task = task_of(clip, "{stem} {width}x{height} {scale} {model} {preset}", "clip (mov)")
    width, height = (report := upscale_file(task, IdentityEngine(), CONFIG, Recording())).geometry.output
    assert report.result.name == f"clip (mov) {width}x{height} 1 identity films.mp4"
    assert report.result.exists()


def test_a_source_that_is_renamed_meanwhile_has_its_new_name_in_the_template(clip: Path) -> None:
    task = task_of(clip, "HD {stem}")
    new = replace(task, target=task.target.with_name("film.mp4"), naming=Naming("HD {stem}", "film", "films", "mp4"))
    control = Recording(SourceRenamed("it is called film.mov now"), new)
    report = upscale_file(task, IdentityEngine(), CONFIG, control)
    assert report.result.name == "HD film.mp4"
    assert [path.name for path in task.target.parent.iterdir()] == ["HD film.mp4"]


def test_a_taken_name_is_numbered(clip: Path) -> None:
    task = task_of(clip, "the same")
    for name in ("the same.mp4", "the same (2).mp4"):
        assert upscale_file(task, IdentityEngine(), CONFIG, Recording()).result.name == name
