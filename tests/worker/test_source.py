"""Whether a job's file is the one that was queued, gone, another one, or out of reach."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.errors import BadInput, FlashVSRError, Transient
from flashvsr.files.trees import Trees
from flashvsr.jobs.schema import Job
from flashvsr.worker.source import InboxGone, SourceChanged, SourceGone, check_source


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "clips" / "a.mov"
    source.parent.mkdir()
    source.write_bytes(b"video")
    os.utime(source, ns=(10**18, 10**18 + 5))
    return source


@pytest.fixture
def job(source: Path) -> Job:
    stat = source.lstat()
    names = {"inbox": str(source.parent), "source": str(source), "relative": source.name}
    content = {"device": stat.st_dev, "inode": stat.st_ino, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    return Job(id=1, **names, **content)


def checked(job: Job) -> os.stat_result:
    return check_source(Trees((Path(job.inbox).parent,)), job)


def raised(job: Job) -> FlashVSRError:
    with pytest.raises(FlashVSRError) as caught:
        checked(job)
    return caught.value


def test_the_same_file_is_told_as_it_is_now(source: Path, job: Job) -> None:
    assert checked(job).st_ino == source.lstat().st_ino
    job.device, job.inode = job.device + 1, job.inode + 1
    assert checked(job).st_dev == source.lstat().st_dev, "a share that was mounted again has other numbers"


def shorten(path: Path) -> None:
    os.truncate(path, 4)
    os.utime(path, ns=(10**18, 10**18 + 5))


@pytest.mark.parametrize(
    "change",
    [
        shorten,
        lambda path: os.utime(path, ns=(10**18, 10**18 + 6)),
        lambda path: os.utime(path, ns=(10**18, 10**18 - 10**10)),
    ],
    ids=["size", "a nanosecond", "older"],
)
def test_another_size_or_time_is_a_change(source: Path, job: Job, change: Callable[[Path], object]) -> None:
    change(source)
    error = raised(job)
    assert type(error) is SourceChanged
    assert not isinstance(error, BadInput | Transient), "it is neither the file's fault, nor the disk's"


@pytest.mark.parametrize("put", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("b.mov")])
def test_something_else_under_its_name_is_a_file_that_is_gone(
    source: Path, job: Job, put: Callable[[Path], object]
) -> None:
    source.rename(source.with_name("b.mov"))
    put(source)
    error = raised(job)
    assert isinstance(error, SourceGone)
    assert isinstance(error, BadInput)
    assert "something else has its name" in str(error)


def test_a_file_is_gone_only_where_its_file_system_is_there(source: Path, job: Job) -> None:
    source.unlink()
    error = raised(job)
    assert isinstance(error, SourceGone)
    assert f"the file is gone: {source}; copy it there again" in str(error)
    job.device += 1
    error = raised(job)
    assert type(error) is Transient
    assert f"mount the share at {source.parent}" in str(error)


def test_a_whole_inbox_that_is_gone_may_come_back(source: Path, job: Job) -> None:
    source.parent.rename(source.parent.with_name("elsewhere"))
    error = raised(job)
    assert isinstance(error, InboxGone)
    assert isinstance(error, Transient)


@pytest.mark.parametrize(("function", "gone"), [("lstat", False), ("directory", True)])
def test_what_does_not_answer_is_no_deletion(
    job: Job, function: str, gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise OSError(errno.EHOSTDOWN, "Host is down")

    def missing(*_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    if gone:
        monkeypatch.setattr(Trees, "lstat", missing)
    monkeypatch.setattr(Trees, function, silent)
    error = raised(job)
    assert type(error) is Transient
    assert "Host is down; is the share mounted and readable?" in str(error)
