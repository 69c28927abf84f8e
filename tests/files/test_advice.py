"""Every errno that makes a job wait says what a person can do."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from flashvsr.errors import NoSpace, Transient
from flashvsr.files.advice import ENVIRONMENT, GONE, advice, failure

NAMES = sorted(errno.errorcode[code] for code in ENVIRONMENT | GONE)


@pytest.mark.parametrize("name", NAMES)
def test_there_is_advice_for_each(name: str) -> None:
    code = getattr(errno, name)
    error = OSError(code, os.strerror(code))
    told = failure("write", Path("/share/a\nb.mp4"), error)
    assert str(told).startswith(f"cannot write /share/a\\nb.mp4: {os.strerror(code)}; ")
    assert advice("write", Path("/share"), error) != "check the file system"
    assert isinstance(told, NoSpace if name in ("ENOSPC", "EDQUOT") else Transient)


def test_an_errno_nobody_thought_of() -> None:
    assert "check the file system" in str(
        failure("read", Path("/x"), OSError(errno.EXDEV, "Invalid cross-device link"))
    )


def test_the_largest_file_of_a_file_system_is_said() -> None:
    told = failure("write", Path("/stick/a.part"), OSError(errno.EFBIG, os.strerror(errno.EFBIG)))
    assert "takes no file that large (FAT: 4 GB)" in str(told)


@pytest.mark.parametrize(("doing", "what"), [("read", "read it"), ("write", "write there"), ("archive", "write there")])
def test_rights_by_what_was_being_done(doing: str, what: str) -> None:
    told = failure(doing, Path("/share/a.mp4"), PermissionError(errno.EACCES, "Permission denied"))
    assert str(told).endswith(f"let the user that runs flashvsr {what}")


def test_a_disk_without_inodes_is_not_said_to_be_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "free some space there" in str(failure("write", tmp_path / "a", full))
    left = SimpleNamespace(f_files=1000, f_favail=0)
    monkeypatch.setattr("flashvsr.files.advice.os.statvfs", lambda _: left)
    assert "no more files can be made there; remove some" in str(failure("write", tmp_path / "a", full))
