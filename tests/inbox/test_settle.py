from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flashvsr.files.trees import NO_LINKS
from flashvsr.inbox.rules import ignored, is_video_name
from flashvsr.inbox.settle import Settler, has_writer
from flashvsr.inbox.walk import MAX_DEPTH, folders, lookup


@pytest.mark.parametrize(
    "name",
    [
        *(
            ".hidden.mp4",
            "._a.mp4",
            ".DS_Store",
            "Thumbs.db",
            "@eaDir",
            "#recycle",
            "preset.toml",
            "preset.error.txt",
            "preset.error (2).txt",
        ),
        *("a.mp4.part", "a.TMP", "a.mp4.crdownload", "a.filepart", "a.partial", "~a.mp4", "~$a.mp4"),
        *(".flashvsr-3-ab12.mp4.part", "$RECYCLE.BIN", "lost+found"),
    ],
)
def test_ignored(name: str) -> None:
    assert ignored(name)


@pytest.mark.parametrize("name", ["a.mp4", "-a.mkv", "part.mp4", "tmp.mov", "a~.mp4", "presets.toml", "eaDir"])
def test_not_ignored(name: str) -> None:
    assert not ignored(name)


def test_video_names() -> None:
    assert all(is_video_name(name) for name in ("a.mp4", "A.MKV", "x.y.m2ts", "new\nline.webm"))
    assert not any(is_video_name(name) for name in ("mp4", "a.txt", "a.mp4.txt", "a", ".mp4"))


def found_below(inbox: Path, reported: list[str]) -> list[str]:
    """The paths of the files that a scan finds, inside the inbox."""
    return [
        folder.prefix + entry.name
        for folder in folders(NO_LINKS, inbox, lambda path, why: reported.append(why))
        for entry in folder.files()
    ]


def test_settling(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x")
    settler = Settler(5)
    assert not settler.observe(path, path.lstat(), 100)
    assert not settler.observe(path, path.lstat(), 104.9)
    assert settler.due(104.9) == []
    assert settler.observe(path, path.lstat(), 105)
    assert settler.due(105) == [path]
    os.utime(path, (1, 1))  # an mtime of long ago is a change like any other
    assert not settler.observe(path, path.lstat(), 106)
    settler.forget(path)
    assert len(settler) == 0


def test_has_writer_of_this_and_another_process(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x")
    if has_writer(NO_LINKS, path) is None:
        pytest.skip("this file system gives no leases")
    assert has_writer(NO_LINKS, path) is False
    with path.open("rb"):
        assert has_writer(NO_LINKS, path) is False
    with path.open("ab"):
        assert has_writer(NO_LINKS, path) is True
    code = "import sys; f = open(sys.argv[1], 'ab'); print(flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    assert has_writer(NO_LINKS, path) is True
    child.communicate()
    assert has_writer(NO_LINKS, path) is False


@pytest.mark.slow
def test_writers_who_come_while_we_ask_do_no_harm(tmp_path: Path) -> None:
    """Breaking our lease sends a signal, which by default would end this process."""
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x")
    code = (
        "import sys, time\nend = time.time() + 1.5\nprint(flush=True)\n"
        "while time.time() < end: open(sys.argv[1], 'ab').close()"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    end = time.monotonic() + 1
    answers = set()
    while time.monotonic() < end:
        answers.add(has_writer(NO_LINKS, path))
    assert child.wait(10) == 0
    assert answers <= {True, False, None}


def test_has_writer_cannot_tell(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    assert has_writer(NO_LINKS, tmp_path / "gone") is None
    assert has_writer(NO_LINKS, tmp_path / "link") is None
    assert has_writer(NO_LINKS, tmp_path / "pipe") is None


def test_a_missing_inbox_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        found_below(tmp_path / "gone", [])


def test_a_bottomless_tree_ends(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * (MAX_DEPTH + 2))
    deep.mkdir(parents=True)
    (deep / "a.mp4").write_bytes(b"x")
    (tmp_path / "b.mp4").write_bytes(b"x")
    reported: list[str] = []
    assert found_below(tmp_path, reported) == ["b.mp4"]
    assert len(reported) == 1
    assert "deeper" in reported[0]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    for index in range(20):
        (tmp_path / str(index)).mkdir()
        (tmp_path / str(index) / "a.mp4").write_bytes(b"x")
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    assert len(found_below(tmp_path, [])) == 20
    for folder in folders(NO_LINKS, tmp_path, lambda path, why: None):
        assert next(folder.files(), None) is None
        break  # as an error in the middle of it would
    assert lookup(NO_LINKS, tmp_path, "3/a.mp4") is not None
    assert lookup(NO_LINKS, tmp_path, "3/b.mp4") is None
    assert lookup(NO_LINKS, tmp_path, "3/a.mp4/c.mp4") is None
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before
