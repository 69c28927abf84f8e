"""A source that goes to an archive on another file system: which copy is one, and when there is none. And what keeps
an archive to its owner.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import pytest

from flashvsr.errors import NoSpace, Transient
from flashvsr.files import at
from flashvsr.files.at import Identity
from flashvsr.files.moves import MTIME_SLACK_NS
from flashvsr.files.trees import Trees
from flashvsr.outbox import disposal as module

CONTENT = b"the source" * 10
MOMENT = 900_000_000_000_000_000


def put(path: Path, content: bytes = CONTENT, mtime_ns: int = MOMENT) -> Path:
    path.write_bytes(content)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


class Places:
    """An inbox with a source, and an archive; both open."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.inbox, self.archive = root / "inbox", root / "archive"
        descriptors = []
        for place in (self.inbox, self.archive):
            place.mkdir()
            descriptors.append(os.open(place, os.O_RDONLY))
            stack.callback(os.close, descriptors[-1])
        self.directory, self.target = descriptors
        self.trees = Trees((self.inbox,))
        self.source = put(self.inbox / "a.mov")
        self.identity: Identity = at.identity(self.source.lstat())

    def copy(self, name: str = "a.mov") -> str | None:
        return module._copy(self.directory, name, self.identity, self.target, "a.mov")

    def archived(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.archive.iterdir()}


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    with ExitStack() as stack:
        yield Places(tmp_path, stack)


def test_a_copy_is_made_once(places: Places) -> None:
    assert (places.copy(), places.copy()) == ("a.mov", "a.mov")
    assert places.archived() == {"a.mov": CONTENT}
    assert (places.archive / "a.mov").stat().st_mtime_ns == MOMENT


def test_a_source_under_a_hidden_name_gets_its_own_in_the_archive(places: Places) -> None:
    places.source.rename(places.inbox / "hidden")
    put(places.source, b"a new one")
    assert places.copy("hidden") == "a.mov"
    assert places.archived() == {"a.mov": CONTENT}


def test_a_part_of_a_copy_is_in_nobodys_way(places: Places) -> None:
    put(places.archive / module._hidden_name(places.identity), b"the sou")
    assert places.copy() == "a.mov"
    assert places.archived() == {"a.mov": CONTENT}


def test_files_that_look_otherwise_do_not_hide_an_earlier_copy(places: Places) -> None:
    put(places.archive / "a.mov", b"another film")
    put(places.archive / "a (2).mov", CONTENT[::-1])
    put(places.archive / "a (3).mov")
    assert places.copy() == "a (3).mov"
    assert len(places.archived()) == 3


def short(reader: Any, writer: Any, *_: object) -> None:
    writer.write(reader.read()[:-1])


def replaced(places: Places) -> Callable[..., None]:
    copy = shutil.copyfileobj

    def copy_and_replace(*arguments: Any) -> None:
        copy(*arguments)
        put(places.inbox / "new", b"another file").replace(places.source)

    return copy_and_replace


@pytest.mark.parametrize("how", ["short", "replaced"])
def test_what_is_not_the_whole_source_is_no_copy(places: Places, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "copyfileobj", short if how == "short" else replaced(places))
    assert places.copy() is None
    assert places.archived() == {}
    assert places.source.exists()


@pytest.mark.parametrize(
    ("size", "late", "alike"),
    [
        (len(CONTENT), 0, True),
        (len(CONTENT), MTIME_SLACK_NS - 1, True),
        (len(CONTENT), 1 - MTIME_SLACK_NS, True),
        (len(CONTENT), MTIME_SLACK_NS, False),
        (len(CONTENT), -MTIME_SLACK_NS, False),
        (len(CONTENT) + 1, 0, False),
    ],
)
def test_a_clock_of_a_share_is_coarse_and_sizes_are_exact(places: Places, size: int, late: int, alike: bool) -> None:
    assert module._looks_like(places.source.lstat(), size, MOMENT + late) is alike


def test_no_link_looks_like_a_file(places: Places) -> None:
    link = places.archive / "link"
    link.symlink_to("x" * 9)
    os.utime(link, ns=(MOMENT, MOMENT), follow_symlinks=False)
    assert not module._looks_like(link.lstat(), 9, MOMENT)


PAIRS = [(b"", b"", True), (b"abcdefghij", b"abcdefghij", True), (b"abcd", b"abcde", False), (b"abcdefgh", b"", False)]
PAIRS += [(b"abcdefghij", b"abcdefghij"[:i] + b"x" + b"abcdefghij"[i + 1 :], False) for i in range(10)]


@pytest.mark.parametrize("most", [4, 3, 1], ids=["whole blocks", "short reads", "single bytes"])
@pytest.mark.parametrize(("one", "other", "same"), PAIRS)
def test_contents_are_compared_to_the_last_byte_however_much_a_read_gives(
    places: Places, one: bytes, other: bytes, same: bool, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK", 4)
    read = os.pread
    with put(places.inbox / "1", one).open("rb") as first, put(places.inbox / "2", other).open("rb") as second:
        numbers = first.fileno(), second.fileno()

        def less(file: int, length: int, offset: int) -> bytes:
            return read(file, min(length, most) if file == numbers[1] else length, offset)

        monkeypatch.setattr(os, "pread", less)
        assert module._same_content(*numbers) is same
        assert module._same_content(numbers[1], numbers[0]) is same


def test_of_several_copies_the_last_is_the_one_that_was_not_told_of(places: Places) -> None:
    _, inode, size, mtime_ns = places.identity
    for name in ("a.mov", "a (2).mov"):
        put(places.archive / name)
    put(places.archive / "a (3).mov", b"another film")
    elsewhere = (places.identity[0] + 1, inode, size, mtime_ns)  # a source of another file system
    places.source.unlink()
    gone = module.settle_source(places.trees, places.source, elsewhere, "archive", places.archive, "a.mov")
    assert gone == places.archive / "a (2).mov"


def test_a_strangers_file_by_the_hidden_name_is_not_the_source(places: Places) -> None:
    stranger = put(places.inbox / module._hidden_name(places.identity), b"a stranger's")
    archived = module.settle_source(places.trees, places.source, places.identity, "archive", places.archive, "a.mov")
    assert archived == places.archive / "a.mov"
    assert places.archived() == {"a.mov": CONTENT}
    assert stranger.read_bytes() == b"a stranger's"


@pytest.mark.parametrize(("mode", "closed"), [(0o770, 0o700), (0o707, 0o700), (0o750, 0o700), (0o570, 0o500)])
def test_nobody_else_enters_the_archive(places: Places, mode: int, closed: int) -> None:
    places.archive.chmod(mode)
    module._close_to_others(places.target)
    assert places.archive.stat().st_mode & 0o777 == closed


def refuse(error: OSError) -> Callable[..., NoReturn]:
    def refused(*_: object, **__: object) -> NoReturn:
        raise error

    return refused


def test_a_file_system_without_modes_takes_sources_all_the_same(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    places.archive.chmod(0o777)
    monkeypatch.setattr(os, "fchmod", refuse(PermissionError(errno.EPERM, "Operation not permitted")))
    assert module.settle_source(places.trees, places.source, places.identity, "archive", places.archive, "a.mov")


FULL = OSError(errno.ENOSPC, "No space left on device")
ACROSS = OSError(errno.EXDEV, "Invalid cross-device link")


@pytest.mark.parametrize(
    ("fails", "told"),
    [
        ({"make_directories": FULL}, "cannot archive to {archive}: No space left"),
        ({"move_numbered": ACROSS, "_copy": FULL}, "cannot archive to {archive}: No space left"),
        ({"move_numbered": OSError(errno.EACCES, "Permission denied")}, "cannot archive {source}: Permission denied"),
        ({"directory": OSError(errno.EIO, "Input/output error")}, "cannot archive {source}: Input/output error"),
    ],
    ids=["folder", "copy", "move", "inbox"],
)
def test_what_the_disk_refuses_is_told_with_its_place(
    places: Places, fails: dict[str, OSError], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, error in fails.items():
        monkeypatch.setattr(Trees if name == "directory" else module, name, refuse(error))
    with pytest.raises(Transient) as raised:
        module.settle_source(places.trees, places.source, places.identity, "archive", places.archive, "a.mov")
    assert told.format(archive=places.archive, source=places.source) in str(raised.value)
    assert isinstance(raised.value, NoSpace) == ("No space" in told)
    assert places.source.read_bytes() == CONTENT
