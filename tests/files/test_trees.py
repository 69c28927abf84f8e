"""Opening files where others may put links, even at the very moment."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flashvsr.files import at
from flashvsr.files.trees import NO_LINKS, OWN, Trees
from flashvsr.settings.config import Config
from flashvsr.settings.service_tables import ExtraInbox, Paths


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """The root of a tree with a directory and a file, beside things that are none of its business."""
    root = tmp_path / "share"
    (root / "season").mkdir(parents=True)
    (root / "season" / "a.mp4").write_text("ours")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "a.mp4").write_text("secret")
    return root


@pytest.fixture
def trees(share: Path) -> Trees:
    return Trees((share,))


def swap(share: Path) -> None:
    (share / "season").rename(share / "away")
    (share / "season").symlink_to(share.parent / "private")


def remove(trees: Trees, path: Path) -> None:
    with trees.directory(path.parent) as directory:
        at.remove(directory, path.name)


ACTS: dict[str, Callable[[Trees, Path], Any]] = {
    "read": lambda trees, path: trees.open_file(path, os.O_RDONLY),
    "write": lambda trees, path: trees.open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    "look": lambda trees, path: trees.lstat(path),
    "remove": remove,
    "open the directory": lambda trees, path: trees.open_directory(path.parent),
    "make a directory": lambda trees, path: trees.open_directory(path.parent / "new", create=True),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
def test_a_link_on_the_way_is_not_followed(share: Path, trees: Trees, act: Callable[[Trees, Path], Any]) -> None:
    swap(share)
    with pytest.raises(OSError, match="a symbolic link is in the way") as caught:
        act(trees, share / "season" / "a.mp4")
    assert caught.value.errno == errno.ELOOP
    private = share.parent / "private"
    assert {path.name: path.read_text() for path in private.iterdir()} == {"a.mp4": "secret"}


@pytest.mark.parametrize(
    ("flags", "why"), [(os.O_RDONLY, "symbolic link"), (os.O_RDWR | os.O_CREAT | os.O_TRUNC, "File exists")]
)
def test_a_link_in_place_of_the_file_is_not_followed(share: Path, trees: Trees, flags: int, why: str) -> None:
    (share / "link.mp4").symlink_to(share.parent / "private" / "a.mp4")
    with pytest.raises(OSError, match=why):
        trees.open_file(share / "link.mp4", flags)
    assert (share.parent / "private" / "a.mp4").read_text() == "secret"
    remove(trees, share / "link.mp4")
    assert (share.parent / "private" / "a.mp4").exists()


def test_no_way_up(share: Path, trees: Trees) -> None:
    with pytest.raises(OSError, match="leads upwards"):
        trees.open_file(share / "season" / ".." / ".." / "private" / "a.mp4", os.O_RDONLY)


def test_a_pipe_is_refused_not_waited_for(share: Path, trees: Trees) -> None:
    os.mkfifo(share / "pipe.mp4")
    with pytest.raises(OSError, match="not a regular file"):
        trees.open_file(share / "pipe.mp4", os.O_RDONLY)


def test_an_administrators_links_are_followed(share: Path) -> None:
    link = share.with_name("link")
    link.symlink_to(share)
    trees = Trees((link,))
    os.close(trees.open_file(link / "season" / "a.mp4", os.O_RDONLY))
    os.close(trees.open_file(share.parent / "link" / "season" / "a.mp4", os.O_RDONLY))
    swap(share)
    os.close(
        Trees((share.parent / "elsewhere",)).open_file(share / "season" / "a.mp4", os.O_RDONLY)
    )  # not a tree of others


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_CREAT])
def test_what_is_there_is_not_written_to(share: Path, trees: Trees, flags: int) -> None:
    """It may be another name of a file of ours."""
    os.link(share.parent / "private" / "a.mp4", share / "season" / "b.mp4")
    with pytest.raises(OSError, match=r"File exists|not written to"):
        trees.open_file(share / "season" / "b.mp4", flags)
    assert (share.parent / "private" / "a.mp4").read_text() == "secret"


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
def test_who_does_not_know_where_shares_are_follows_no_link(share: Path, act: Callable[[Trees, Path], Any]) -> None:
    os.close(NO_LINKS.open_file(share / "season" / "a.mp4", os.O_RDONLY))
    test_a_link_on_the_way_is_not_followed(share, NO_LINKS, act)


def test_nor_in_place_of_a_file(share: Path) -> None:
    (share / "link.mp4").symlink_to(share.parent / "private" / "a.mp4")
    for flags in (os.O_RDONLY, os.O_RDWR | os.O_CREAT | os.O_TRUNC):
        with pytest.raises(OSError, match="symbolic link"):
            NO_LINKS.open_file(share / "link.mp4", flags)
    assert (share.parent / "private" / "a.mp4").read_text() == "secret"


def test_on_the_way_to_the_services_own_files_links_are_followed(share: Path) -> None:
    swap(share)
    os.close(OWN.open_file(share / "season" / "a.mp4", os.O_RDONLY))
    assert OWN.root_of(share / "season") is None


def test_the_settings_know_all_places_where_others_write(tmp_path: Path) -> None:
    extra = ExtraInbox(tmp_path / "nas" / "in", tmp_path / "nas" / "out")
    paths = Paths(tmp_path / "in", tmp_path / "out", tmp_path / "state", tmp_path / "models")
    trees = Config(paths=paths, extra_inboxes=(extra,)).trees()
    for place in (paths.inbox, paths.outbox, extra.path, extra.outbox):
        assert trees.root_of(place / "clips" / "a.mp4") == place
    for place in (paths.state, paths.models):
        assert trees.root_of(place / "a.mp4") is None


def test_a_walk_is_not_ended_by_depth_or_by_what_it_meets(share: Path, trees: Trees) -> None:
    deep = share
    for _ in range(200):
        deep = deep / "d"
        deep.mkdir()
    (share / "link").symlink_to(share.parent / "private")
    open_files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    found = list(trees.walk(share, 150))
    assert len(found) == 1 + 1 + 150
    assert sorted(name for _, names in found for name in names) == ["a.mp4", "link"]
    assert len(os.listdir("/proc/self/fd")) == open_files  # noqa: PTH208


def test_directories_are_made_on_the_way(share: Path, trees: Trees) -> None:
    with trees.directory(share / "a" / "b", create=True) as inner:
        os.mkdir("c", dir_fd=inner)
    assert (share / "a" / "b" / "c").is_dir()
    os.close(Trees((share / "new",)).open_directory(share / "new" / "d", create=True))  # with the root itself


def test_no_moment_is_the_right_one_for_a_link(share: Path, trees: Trees) -> None:
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
