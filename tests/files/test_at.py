"""Single steps in a directory: nothing is followed, nobody waited for, nothing written over."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flashvsr.files import at


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


ODD: dict[str, Callable[[Path], object]] = {
    "pipe": lambda path: os.mkfifo(path),
    "directory": lambda path: path.mkdir(),
    "socket": make_socket,
    "device": lambda path: os.mknod(path, 0o20666, os.makedev(1, 5)),  # endless zeros
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", ODD.values(), ids=ODD.keys())
def test_what_is_no_file_is_not_read(
    directory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object]
) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    try:
        make(Path("odd"))
    except PermissionError as error:
        pytest.skip(f"cannot make it here: {error}")
    with pytest.raises(at.NotRegular):
        at.read(directory, "odd")
    with pytest.raises(FileExistsError):
        at.create(directory, "odd")


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/passwd", "..", ".", ""])
def test_a_name_is_no_path(directory: int, name: str) -> None:
    for act in (at.status, at.read, at.create, at.enter, at.make, at.remove, at.taken):
        with pytest.raises(OSError, match="not a single name"):
            act(directory, name)


def test_links_are_not_followed(directory: int, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "to file").symlink_to("file")
    for act, name in ((at.enter, "link"), (at.read, "to file"), (at.create, "to file")):
        with pytest.raises(OSError):  # noqa: PT011
            act(directory, name)
    assert not at.make(directory, "link")
    assert at.remove(directory, "to file")
    assert (tmp_path / "file").exists()
    assert not at.remove(directory, "to file")
