"""An archive that the settings name: what is old and ours goes, and nothing else that lies there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.files import at
from flashvsr.files.mounts import Mounts
from flashvsr.files.trees import Trees
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.retention import prune
from flashvsr.jobs.schema import Job

DAY = 86_400.0


class Archive:
    def __init__(self, folder: Path, queue: Queue, job: Job) -> None:
        self.folder, self.queue, self.number = folder, queue, job.id
        self.video = folder / "default" / "trip" / "clip (2).mp4"
        self.video.parent.mkdir(parents=True)
        Path(job.source).rename(self.video)
        queue.claims.finish(job.id, str(job.lease), Path("/out/clip.mp4"), "nano", "{}", [])
        queue.history.settled(job.id, self.video, departed=True)

    def put(self, name: str) -> Path:
        path = self.video.with_name(name)
        path.write_bytes(b"words")
        return path

    def prune(self, days: float = 31, archive: Path | None = None) -> dict[str, int]:
        folder = archive or self.folder
        return prune(Trees((folder,)), self.queue, 30, time.time() + days * DAY, folder)

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def archive(queue: Queue, drop: Callable[..., int], claim: Callable[..., Job], inbox: Path, tmp_path: Path) -> Archive:
    return Archive(tmp_path / "originals", queue, claim(drop()))


def test_old_sources_go_with_what_went_along(archive: Archive) -> None:
    archive.put("clip (2).en.srt")
    mine = archive.folder / "holiday.mov"
    mine.write_bytes(b"a person's own")
    assert archive.prune(29) == {"jobs": 0, "archived": 0, "leftovers": 0}
    assert archive.prune() == {"jobs": 1, "archived": 2, "leftovers": 0}
    assert archive.files() == ["holiday.mov"]
    assert list(archive.folder.iterdir()) == [mine], "folders that this emptied go, too"


@pytest.mark.parametrize("name", ["clip.srt", "clip (2).txt", "clip (2).mov", "film.mp4"])
def test_what_is_not_ours_stays(archive: Archive, name: str) -> None:
    archive.put(name)
    archive.prune()
    assert archive.files() == [f"default/trip/{name}"]


@pytest.mark.parametrize("change", ["size", "time", "link"])
def test_another_file_of_that_name_stays(archive: Archive, change: str, tmp_path: Path) -> None:
    if change == "size":
        archive.video.write_bytes(b"another video")
    elif change == "time":
        os.utime(archive.video, (5, 5))
    else:
        archive.video.rename(tmp_path / "private.mp4")
        archive.video.symlink_to(tmp_path / "private.mp4")
    assert archive.prune()["archived"] == 0
    assert archive.video.is_symlink() == (change == "link")
    assert archive.video.exists()


def test_a_folder_that_became_a_link_is_not_entered(archive: Archive, tmp_path: Path) -> None:
    private = archive.video.parent.rename(tmp_path / "private")
    archive.video.parent.symlink_to(private)
    assert archive.prune() == {"jobs": 0, "archived": 0, "leftovers": 0}
    assert (private / archive.video.name).exists()


def test_what_cannot_be_removed_now_is_remembered(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bool:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(at, "remove", refuse)
        assert archive.prune()["jobs"] == 0
    with monkeypatch.context() as patch:
        patch.setattr(Mounts, "present", lambda *_: False)
        assert archive.prune() == {"jobs": 0, "archived": 0, "leftovers": 0}
    assert archive.prune() == {"jobs": 1, "archived": 1, "leftovers": 0}
    assert archive.files() == []


def test_what_was_moved_elsewhere_is_left_to_people(archive: Archive, tmp_path: Path) -> None:
    """Such as a folder `done`, or the archive that the settings named before."""
    other = tmp_path / "other"
    other.mkdir()
    assert archive.prune(archive=other) == {"jobs": 1, "archived": 0, "leftovers": 0}
    assert archive.video.exists()
