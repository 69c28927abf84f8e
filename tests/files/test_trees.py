"""Opening files where others may put links, even at the very moment."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flashvsr.files import trees


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Path]:
    """A guarded tree with a directory and a file, beside things that are none of its business."""
    root = tmp_path / "share"
    (root / "season").mkdir(parents=True)
    (root / "season" / "a.mp4").write_text("ours")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "a.mp4").write_text("secret")
    trees.guard([root])
    yield root
    trees.guard([])


def swap(share: Path) -> None:
    (share / "season").rename(share / "away")
    (share / "season").symlink_to(share.parent / "private")


ACTS: dict[str, Callable[[Path], Any]] = {
    "read": lambda path: trees.open_file(path, os.O_RDONLY),
    "write": lambda path: trees.open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    "look": lambda path: trees.lstat(path),
    "remove": lambda path: trees.unlink(path),
    "open the directory": lambda path: trees.open_directory(path.parent),
    "make a directory": lambda path: trees.open_directory(path.parent / "new", create=True),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
def test_a_link_on_the_way_is_not_followed(share: Path, act: Callable[[Path], Any]) -> None:
    swap(share)
    with pytest.raises(OSError, match="a symbolic link is in the way") as caught:
        act(share / "season" / "a.mp4")
    assert caught.value.errno == errno.ELOOP
    private = share.parent / "private"
    assert {path.name: path.read_text() for path in private.iterdir()} == {"a.mp4": "secret"}


@pytest.mark.parametrize(
    ("flags", "why"), [(os.O_RDONLY, "symbolic link"), (os.O_RDWR | os.O_CREAT | os.O_TRUNC, "File exists")]
)
def test_a_link_in_place_of_the_file_is_not_followed(share: Path, flags: int, why: str) -> None:
    (share / "link.mp4").symlink_to(share.parent / "private" / "a.mp4")
    with pytest.raises(OSError, match=why):
        trees.open_file(share / "link.mp4", flags)
    assert (share.parent / "private" / "a.mp4").read_text() == "secret"
    trees.unlink(share / "link.mp4")
    assert (share.parent / "private" / "a.mp4").exists()


def test_no_way_up(share: Path) -> None:
    with pytest.raises(OSError, match="leads upwards"):
        trees.open_file(share / "season" / ".." / ".." / "private" / "a.mp4", os.O_RDONLY)


def test_a_pipe_is_refused_not_waited_for(share: Path) -> None:
    os.mkfifo(share / "pipe.mp4")
    with pytest.raises(OSError, match="not a regular file"):
        trees.open_file(share / "pipe.mp4", os.O_RDONLY)


def test_an_administrators_links_are_followed(share: Path) -> None:
    link = share.with_name("link")
    link.symlink_to(share)
    trees.guard([link])
    os.close(trees.open_file(link / "season" / "a.mp4", os.O_RDONLY))
    os.close(trees.open_file(share.parent / "link" / "season" / "a.mp4", os.O_RDONLY))
    swap(share)
    trees.guard([share.parent / "elsewhere"])
    os.close(trees.open_file(share / "season" / "a.mp4", os.O_RDONLY))  # not a tree of others


def test_directories_are_made_on_the_way(share: Path) -> None:
    with trees.directory(share / "a" / "b", create=True) as inner:
        os.mkdir("c", dir_fd=inner)
    assert (share / "a" / "b" / "c").is_dir()
    trees.guard([share / "new"])
    os.close(trees.open_directory(share / "new" / "d", create=True))  # with the root itself


def test_no_moment_is_the_right_one_for_a_link(share: Path) -> None:
    """Somebody swaps the directory all the time: what is read is ours or nothing."""
    (share / "link").symlink_to(share.parent / "private")
    ended = threading.Event()

    def keep_swapping() -> None:
        while not ended.is_set():
            (share / "season").rename(share / "away")
            (share / "link").rename(share / "season")
            (share / "season").rename(share / "link")
            (share / "away").rename(share / "season")

    swapper = threading.Thread(target=keep_swapping)
    swapper.start()
    read, refused = set(), 0
    try:
        for _ in range(3000):
            try:
                with open(share / "season" / "a.mp4", opener=trees.open_file) as file:
                    read.add(file.read())
            except OSError:
                refused += 1
    finally:
        ended.set()
        swapper.join()
    assert read == {"ours"}
    assert refused
