"""What lies beside a source, copied beside its result: never over another file, by no link, whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.errors import NoSpace, Transient
from flashvsr.files import at
from flashvsr.files.made import Made
from flashvsr.files.trees import Trees
from flashvsr.inbox.rules import is_video_name
from flashvsr.outbox import companions as module
from flashvsr.outbox.companions import copy_companions, move_companions

OLD = 900_000_000


class Place:
    """An inbox with a source that has a result."""

    def __init__(self, root: Path) -> None:
        self.inbox, self.outbox = root / "inbox", root / "outbox"
        self.inbox.mkdir()
        self.outbox.mkdir()
        self.trees = Trees((self.inbox, self.outbox))
        self.source, self.result = self.inbox / "clip.mov", self.outbox / "clip (2).mp4"
        self.source.write_bytes(b"source")
        self.result.write_bytes(b"result")

    def put(self, name: str, content: bytes = b"words") -> Path:
        path = self.inbox / name
        path.write_bytes(content)
        os.utime(path, (OLD, OLD))
        return path

    def copy(self) -> list[str]:
        copy_companions(self.trees, self.source, self.result, 7, is_video_name)
        return sorted(path.name for path in self.outbox.iterdir() if path != self.result)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_they_get_the_name_of_the_result_and_keep_their_time(place: Place) -> None:
    place.put("clip.en.srt")
    place.put("clip.nfo")
    place.put("other.srt")
    assert place.copy() == ["clip (2).en.srt", "clip (2).nfo"]
    copy = place.outbox / "clip (2).en.srt"
    assert (copy.read_bytes(), copy.stat().st_mtime) == (b"words", OLD)
    assert (place.inbox / "clip.en.srt").read_bytes() == b"words"


def test_done_twice_they_are_there_once(place: Place) -> None:
    place.put("clip.srt")
    assert place.copy() == place.copy() == ["clip (2).srt"]


def test_nothing_is_replaced(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.put("clip.srt")
    (place.outbox / "clip (2).srt").write_bytes(b"a person's own")
    caplog.set_level("INFO")
    assert place.copy() == ["clip (2).srt"]
    assert (place.outbox / "clip (2).srt").read_bytes() == b"a person's own"
    assert "is there already, so clip.srt is not copied" in caplog.text


def test_one_that_comes_meanwhile_is_not_replaced_either(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.put("clip.srt")
    taken = at.taken

    def comes(directory: int, name: str) -> bool:
        there = taken(directory, name)
        (place.outbox / name).write_bytes(b"a person's own")
        return there

    monkeypatch.setattr(at, "taken", comes)
    assert place.copy() == ["clip (2).srt"]
    assert (place.outbox / "clip (2).srt").read_bytes() == b"a person's own"


def _link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


@pytest.mark.parametrize("make", [_link, os.mkfifo, Path.mkdir], ids=["link", "pipe", "folder"])
def test_what_is_no_file_is_left_out(place: Place, make: Callable[[Path], None]) -> None:
    make(place.inbox / "clip.srt")
    place.put("clip.nfo")
    assert place.copy() == ["clip (2).nfo"]


def test_a_folder_that_became_a_link_is_not_entered(place: Place, tmp_path: Path) -> None:
    inner = place.inbox / "a"
    inner.symlink_to(tmp_path)
    (tmp_path / "clip.srt").write_bytes(b"private")
    place.source = inner / "clip.mov"
    with pytest.raises(Transient, match="symbolic link"):
        place.copy()
    assert list(place.outbox.iterdir()) == [place.result]


def test_what_is_too_large_is_left_out(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LARGEST", 1 << 20)
    place.put("clip.sub", b"x" * ((1 << 20) + 1))
    place.put("clip.idx", b"x" * (1 << 20))
    assert place.copy() == ["clip (2).idx"]
    assert "clip.sub has more than 1 MiB and is not copied" in caplog.text


def test_on_a_full_disk_they_wait(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.put("clip.srt")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Made, "write", full)
        with pytest.raises(NoSpace):
            place.copy()
    assert list(place.outbox.iterdir()) == [place.result], "no half of one is left"
    assert place.copy() == ["clip (2).srt"]


@pytest.mark.parametrize("gone", ["inbox", "outbox"])
def test_where_a_folder_is_gone_there_is_nothing_to_do(place: Place, gone: str) -> None:
    place.put("clip.srt")
    folder: Path = getattr(place, gone)
    folder.rename(folder.with_name("elsewhere"))
    copy_companions(place.trees, place.source, place.result, 7, is_video_name)
    assert not folder.exists()


def test_they_go_where_the_source_went(place: Place, tmp_path: Path) -> None:
    place.put("clip.srt")
    place.put("clip.de.srt")
    moved = tmp_path / "done" / "clip (3).mov"
    moved.parent.mkdir()
    (moved.parent / "clip (3).srt").write_bytes(b"another one")
    for _ in range(2):
        move_companions(place.trees, place.source, moved, is_video_name, private=False)
    names = sorted(path.name for path in moved.parent.iterdir())
    assert names == ["clip (3) (2).srt", "clip (3).de.srt", "clip (3).srt"]
    assert [path.name for path in place.inbox.iterdir()] == ["clip.mov"]


def test_the_last_video_of_a_stem_takes_them(place: Place, tmp_path: Path) -> None:
    place.put("clip.srt")
    other = place.put("clip.mkv")
    moved = tmp_path / "done" / "clip.mov"
    moved.parent.mkdir()
    move_companions(place.trees, place.source, moved, is_video_name, private=False)
    assert (place.inbox / "clip.srt").exists()
    other.unlink()
    move_companions(place.trees, place.source, moved, is_video_name, private=False)
    assert [path.name for path in moved.parent.iterdir()] == ["clip.srt"]
