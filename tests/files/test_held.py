"""A file that is held stays the same for who reads it, whatever becomes of its name."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from flashvsr.files.at import NotRegular
from flashvsr.files.held import held, open_to_read, status
from flashvsr.files.trees import NO_LINKS


def read(path: Path) -> bytes:
    descriptor = open_to_read(path)
    try:
        return os.pread(descriptor, 100, 0)
    finally:
        os.close(descriptor)


def test_renamed_replaced_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"first")
    with held(NO_LINKS, path):
        path.rename(tmp_path / "b.mp4")
        assert read(path) == b"first"
        path.write_bytes(b"the second")
        assert (read(path), status(path).st_size) == (b"first", 5)
        (tmp_path / "b.mp4").unlink()
        assert read(path) == b"first"
    assert (read(path), status(path).st_size) == (b"the second", 10)


def test_held_by_several_who_let_go_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"first")
    first, second = held(NO_LINKS, path), held(NO_LINKS, path)
    first.__enter__()
    path.rename(tmp_path / "b.mp4")
    second.__enter__()
    first.__exit__(None, None, None)
    assert read(path) == b"first"
    second.__exit__(None, None, None)
    with pytest.raises(FileNotFoundError):
        read(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    found: list[object] = []

    def look() -> None:
        try:
            open_to_read(tmp_path / "pipe.mp4")
        except NotRegular as error:
            found.append(error)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(10)
    assert len(found) == 1
