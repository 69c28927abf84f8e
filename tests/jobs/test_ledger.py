"""Who may read the records of ended jobs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flashvsr.jobs.ledger import Ledger
from flashvsr.jobs.schema import Job

ACCOUNT = (12345, 12346)  # user and group of a service

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for other accounts")


@as_root
def test_what_root_records_is_the_services(tmp_path: Path) -> None:
    os.chown(tmp_path, *ACCOUNT)
    before = os.umask(0o077)  # as some set it for root: nobody else could read the record
    try:
        Ledger(tmp_path).write(Job(id=7, source="/inbox/a.mp4", state="cancelled"))
    finally:
        os.umask(before)
    for path in (tmp_path / "records", tmp_path / "records" / "7.json"):
        status = path.stat()
        assert (status.st_uid, status.st_gid) == ACCOUNT, path
    assert [row["id"] for row in Ledger(tmp_path).rows()] == [7]
