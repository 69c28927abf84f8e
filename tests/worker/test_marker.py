"""The marker of a job's end: who may put it in order, and how often it was tried."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from flashvsr.errors import NoSpace, Transient
from flashvsr.worker.marker import MOST_TRIES, Marker


def test_one_at_a_time(tmp_path: Path) -> None:
    marker = Marker(tmp_path / "1.ending")
    with marker.alone() as first, Marker(tmp_path / "1.ending").alone() as second:
        assert (first, second) == (True, False)
    with marker.alone() as again:
        assert again


def test_a_marker_removed_between_its_opening_and_its_lock_locks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one would make a file of its own, and both would be at the same job."""
    marker = Marker(tmp_path / "1.ending")
    lock = fcntl.flock

    def late(file: int, how: int) -> None:
        marker.remove()  # by the worker that had it until now
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with marker.alone() as alone:
        assert not alone


@pytest.fixture
def marker(tmp_path: Path) -> Marker:
    return Marker(tmp_path / "1.ending")


def marks(tmp_path: Path) -> bytes:
    return (tmp_path / "1.ending").read_bytes()


@pytest.mark.parametrize("before", [b"", b"."])
def test_a_try_is_counted_before_it_begins(tmp_path: Path, marker: Marker, before: bytes) -> None:
    (tmp_path / "1.ending").write_bytes(before)
    with marker.trying(tmp_path):
        assert marks(tmp_path) == before + b"."
        with marker.alone() as alone:  # whoever asks meanwhile leaves the marks
            assert alone
        assert marks(tmp_path) == before + b"."
    assert marks(tmp_path) == b"", "it went well, and telling of it may be tried again as often"


@pytest.mark.parametrize("before", [b"", b"."])
@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (Transient("the share is away"), True),
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EIO, "Input/output error"), True),
        (OSError(errno.ENOENT, "No such file or directory"), False),
        (ValueError("a mistake"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_what_only_has_to_wait_is_not_counted(
    tmp_path: Path, marker: Marker, before: bytes, error: BaseException, waits: bool
) -> None:
    (tmp_path / "1.ending").write_bytes(before)
    with pytest.raises(Transient if waits else type(error)) as raised, marker.trying(tmp_path / "out"):
        raise error
    assert marks(tmp_path) == (before if waits else before + b".")
    if waits and isinstance(error, OSError):
        assert f"cannot write {tmp_path / 'out'}: {error.strerror}" in str(raised.value)
        assert isinstance(raised.value, NoSpace) == (error.errno == errno.ENOSPC)


@pytest.mark.parametrize(
    ("content", "used_up", "left"),
    [
        (None, False, None),
        (b"", False, b""),
        (b".", False, b"."),
        (b"." * MOST_TRIES, True, b"." * MOST_TRIES),
        (b"." * 9, True, b"." * 9),
        (b"x" * 9, False, b""),
        (b".x", False, b""),
    ],
)
def test_how_many_tries_are_enough(
    tmp_path: Path, marker: Marker, content: bytes | None, used_up: bool, left: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "1.ending").write_bytes(content)
    assert marker.used_up is used_up
    assert (marks(tmp_path) if (tmp_path / "1.ending").exists() else None) == left


def test_a_marker_can_be_removed_twice(tmp_path: Path, marker: Marker) -> None:
    with marker.alone():
        marker.remove()
        marker.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_marker_that_cannot_be_made_says_where(tmp_path: Path) -> None:
    marker = Marker(tmp_path / "none" / "1.ending")
    with pytest.raises(Transient, match=r"cannot write .*1\.ending"), marker.alone():
        raise AssertionError("nothing is done without it")
    with pytest.raises(Transient, match=r"cannot write .*1\.ending"), marker.trying(tmp_path):
        raise AssertionError("nothing is tried without it")
