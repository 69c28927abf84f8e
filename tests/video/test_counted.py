"""Files as FFmpeg reads and writes them: what went wrong first is kept, and nothing is done after it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flashvsr.errors import Interrupted
from flashvsr.video import counted
from flashvsr.video.counted import CountedFile, FirstFailure, ReadFile, WrittenFile, nothing

CONTENT = bytes(range(200))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "clip"
    made.write_bytes(CONTENT)
    return made


def raising(error: BaseException) -> Callable[[], None]:
    def progress() -> None:
        raise error

    return progress


def test_the_disk_is_asked_to_write_each_time_so_much_has_come_together(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(counted, "FLUSH_BYTES", 100)
    monkeypatch.setattr(os, "fdatasync", lambda _: flushed.append(path.stat().st_size))
    with CountedFile(path, "w+b", nothing) as file:
        for _ in range(8):
            file.write(bytes(50))
    assert flushed == [100, 200, 300, 400]


def test_the_first_failure_is_kept() -> None:
    failure, first = FirstFailure(), OSError("first")
    failure.note(first)
    failure.note(OSError("second"))
    assert failure.error is first


@pytest.fixture(params=[Interrupted("stop"), OSError(errno.EIO, "error"), KeyboardInterrupt()], ids=repr)
def error(request: pytest.FixtureRequest) -> BaseException:
    found: BaseException = request.param
    return found


@pytest.mark.parametrize("raises", [True, False])
def test_a_read_that_failed_is_the_last_one(path: Path, error: BaseException, raises: bool) -> None:
    with closing(ReadFile(os.open(path, os.O_RDONLY), raising(error), raises=raises)) as file:
        if raises:
            with pytest.raises(type(error)):
                file.read(10)
        else:
            assert file.read(10) == b""
        assert file.failure.error is error
        assert file.read(10) == b"", "it is not tried again"


def test_places_are_counted_from_the_start_from_here_and_from_the_end(path: Path) -> None:
    with closing(ReadFile(os.open(path, os.O_RDONLY))) as file:
        assert file.read(50) == CONTENT[:50]
        assert (file.seek(0), file.tell()) == (0, 0)
        assert (file.seek(20), file.seek(5, os.SEEK_CUR), file.seek(-10, os.SEEK_CUR)) == (20, 25, 15)
        assert file.read(3) == CONTENT[15:18]
        assert file.seek(-50, os.SEEK_END) == 150
        assert file.seek(-1) < 0
        assert (file.tell(), file.read(100)) == (150, CONTENT[150:]), "a place that there is not changes nothing"


def test_closing_twice_closes_nobody_elses_file(path: Path) -> None:
    file = ReadFile(descriptor := os.open(path, os.O_RDONLY))
    file.close()
    other = os.open(path, os.O_RDONLY)
    try:
        assert other == descriptor, "numbers are given again"
        file.close()
        assert os.pread(other, 1, 0) == CONTENT[:1]
    finally:
        os.close(other)


@pytest.fixture
def written(path: Path) -> Iterator[WrittenFile]:
    file = WrittenFile(path)
    yield file
    file.abandon()


def test_nothing_is_written_after_a_failure(path: Path, error: BaseException) -> None:
    """Nor does it raise: PyAV would keep that for another file."""
    file = WrittenFile(path, raising(error))
    assert file.write(b"abc") == -errno.EIO
    assert file.failure.error is error
    assert (file.write(b"def"), file.seek(0), file.tell()) == 3 * (-errno.EIO,)
    file.abandon()
    assert path.read_bytes() == b"abc"


def test_nothing_is_noted_of_a_file_that_was_given_up(path: Path, written: WrittenFile) -> None:
    assert written.write(b"abc") == 3
    written.abandon()
    assert (written.write(b"def"), written.seek(0), written.tell()) == 3 * (-errno.EIO,)
    assert written.failure.error is None
    assert written.closed
    assert path.read_bytes() == b"abc"


def test_what_reading_back_meets_is_the_files_failure(path: Path, error: BaseException) -> None:
    """The MP4 muxer reads what it has written; FFmpeg makes anything of what is raised there."""
    calls: list[None] = []

    def progress() -> None:
        calls.append(None)
        if len(calls) == 2:
            raise error

    file = WrittenFile(path, progress)
    assert file.write(b"abc") == 3
    with closing(file.reader()) as reader:
        assert reader.read(3) == b""
    assert file.failure.error is error
    assert file.write(b"def") == -errno.EIO
    file.abandon()


def test_what_the_disk_tells_only_at_the_end(path: Path, written: WrittenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = OSError(errno.ENOSPC, "full")

    def fsync(_: int) -> None:
        raise refusal

    monkeypatch.setattr(os, "fsync", fsync)
    written.write(b"abc")
    written.finish()
    assert written.failure.error is refusal
