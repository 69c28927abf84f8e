"""Opening files where others may put links, even at the very moment."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flashvsr import cli
from flashvsr.errors import Transient
from flashvsr.files import trees
from flashvsr.video.media import open_own


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


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_CREAT])
def test_what_is_there_is_not_written_to(share: Path, flags: int) -> None:
    """It may be another name of a file of ours."""
    os.link(share.parent / "private" / "a.mp4", share / "season" / "b.mp4")
    with pytest.raises(OSError, match=r"File exists|not written to"):
        trees.open_file(share / "season" / "b.mp4", flags)
    assert (share.parent / "private" / "a.mp4").read_text() == "secret"


def test_what_opens_files_by_name_gets_none_of_a_share(share: Path) -> None:
    assert trees.own(share.parent / "private") == share.parent / "private"
    with pytest.raises(OSError, match="not opened by its name"):
        trees.own(share / "season" / "a.mp4")
    with pytest.raises(Transient, match="not opened by its name"), open_own(share / "season" / "a.mp4"):
        pass


FORGETFUL = """
import os, sys
from pathlib import Path
from flashvsr.files import trees
place = Path(sys.argv[1])
os.close(trees.open_file(place / "season" / "a.mp4", os.O_RDONLY))
for act in (
    lambda: trees.open_file(place / "season" / "link.mp4", os.O_RDONLY),
    lambda: trees.open_file(place / "link" / "a.mp4", os.O_RDONLY),
    lambda: trees.open_directory(place / "link"),
    lambda: trees.lstat(place / "link" / "a.mp4"),
):
    try:
        act()
    except OSError as error:
        assert "symbolic link" in str(error), error
    else:
        sys.exit("followed")
os.close(trees.open_named(place / "link" / "a.mp4", os.O_RDONLY))  # an administrator's
trees.guard([])
os.close(trees.open_file(place / "link" / "a.mp4", os.O_RDONLY))
"""


def test_a_process_that_forgot_to_say_where_shares_are_follows_no_link(share: Path) -> None:
    (share / "link").symlink_to(share.parent / "private")
    (share / "season" / "link.mp4").symlink_to(share.parent / "private" / "a.mp4")
    done = subprocess.run([sys.executable, "-c", FORGETFUL, share], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_says_where_shares_are(share: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flashvsr.toml").write_text(f'[paths]\ninbox = "{share}"\noutbox = "{tmp_path / "out"}"\n')
    seen: list[tuple[Path | None, Path | None]] = []

    def command(config: object, options: object) -> int:
        seen.append((trees.root_of(share / "clips"), trees.root_of(tmp_path / "out" / "clips")))
        return 0

    monkeypatch.setattr(cli, "_command", lambda options: command)
    for arguments in (["status"], ["check"], ["upscale", "a", "b"], ["run"], ["retry", "1"]):
        assert cli.main(["--config", str(tmp_path / "flashvsr.toml"), *arguments]) == 0
    assert seen == [(share, tmp_path / "out")] * 5


def test_a_walk_is_not_ended_by_depth_or_by_what_it_meets(share: Path) -> None:
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
