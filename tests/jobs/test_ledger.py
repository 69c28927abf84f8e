"""The records of ended jobs: who may read them, and what becomes of one that holds anything else."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flashvsr.files import objects
from flashvsr.files.trees import NO_LINKS
from flashvsr.jobs import ledger
from flashvsr.jobs.damage import heal, set_aside_notes
from flashvsr.jobs.intake import Source
from flashvsr.jobs.ledger import Ledger
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.retention import prune
from flashvsr.jobs.rows import wrong_value
from flashvsr.jobs.schema import Job
from kits.accounts import NOBODY, run_in_reach

Drop = Callable[..., int]
Claim = Callable[..., Job]

ROW: dict[str, Any] = {
    **{"id": 2, "inbox": "/in", "source": "/in/b.mp4", "relative": "b.mp4", "device": 1, "inode": 2, "size": 3},
    **{"mtime_ns": 4, "state": "done", "created": 5.0},
}

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="acts as root and as another account")


@as_root
def test_what_root_cancels_is_recorded_as_the_service(open_path: Path) -> None:
    state, config = open_path / "state", open_path / "flashvsr.toml"
    with closing(Queue(state)) as queue:
        assert queue.intake.add_many([Source("/in", "/in/a.mp4", "a.mp4", 1, 2, 3, 4)]) == [1]
    for path in (state, *state.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    config.write_text("[paths]\ninbox = 'inbox'\noutbox = 'outbox'\nstate = 'state'\nmodels = 'state/models'\n")
    done = run_in_reach(sys.executable, "-m", "flashvsr", "cancel", "1", "--config", config)
    assert (done.returncode, done.stdout) == (0, "job 1 is cancelled\n"), done.stderr
    for path in (state / "records", state / "records" / "1.json"):
        assert path.stat().st_uid == NOBODY, path


@as_root
def test_what_root_writes_belongs_to_whom_the_state_belongs_to(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    Ledger(tmp_path).write(Job(**ROW))
    for path in (tmp_path / "records", tmp_path / "records" / "2.json"):
        assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY, NOBODY), path


def folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").touch()


def link(path: Path) -> None:
    other = path.with_name("elsewhere")
    other.write_text(json.dumps(ROW))
    path.symlink_to(other)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def text(content: str | bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode())


def row(**values: Any) -> Callable[[Path], object]:
    return text(json.dumps(ROW | values))


def lacking(name: str) -> Callable[[Path], object]:
    return text(json.dumps({key: value for key, value in ROW.items() if key != name}))


DAMAGED = {
    "nothing": text(""),
    "half": text('{"id": 2, '),
    "list": text("[]"),
    "number": text("3"),
    "null": text("null"),
    "text": text('"x"'),
    "empty object": text("{}"),
    "deep": text("[" * 100_000),
    "digits": text("9" * 100_000),
    "latin-1": text(b'{"id": "\xe9"}'),
    "utf-16": text(json.dumps(ROW).encode("utf-16")),
    "zeros": text(bytes(4096)),
    "large": text(json.dumps(ROW) + " " * (1 << 20)),
    "folder": folder,
    "link": link,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "pipe": os.mkfifo,
    "socket": unix_socket,
    "another job's": row(id=7),
    "no number": row(id=True),
    "a negative number": row(id=-2),
    "a huge number": row(id=2**70),
    "no id": lacking("id"),
    "no source": lacking("source"),
    "no state": lacking("state"),
    "a state of a newer version": row(state="dreaming"),
    "a state that is a list": row(state=["done"]),
    "a path that is a number": row(source=5),
    "a path with a zero byte": row(source="/in/a\0b"),
    "a path with half a letter": row(source="/in/\ud800"),
    "an inode too large": row(inode=2**64),
    "a size that is text": row(size="3"),
    "a size too large": row(size=2**63),
    "a time that is no number": row(created=float("nan")),
    "a time that is infinite": row(finished=float("inf")),
    "a time that is text": row(claimed="now"),
    "an error that is an object": row(error={}),
    "an error with half a letter": row(error="\ud800"),
    "warnings that are text": row(warnings="none"),
    "warnings of numbers": row(warnings=[1]),
    "a flag that is text": row(departed="no"),
    "attempts that are null": row(attempts=None),
}


@pytest.fixture
def lived(tmp_path: Path, queue: Queue, drop: Drop, claim: Claim) -> Path:
    """A state directory without its database, with records of three jobs."""
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        job = claim(drop(name))
        queue.claims.finish(job.id, str(job.lease), Path("/out") / name, "nano", "{}", [])
    queue.close()
    state = tmp_path / "state"
    (state / "queue.db").unlink()
    return state


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGED)
def test_a_record_of_any_content_is_set_aside_by_itself(
    name: str, lived: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "LARGEST_RECORD", 1 << 20)
    (lived / "records" / "2.json").unlink()
    DAMAGED[name](lived / "records" / "2.json")
    heal(lived)
    with closing(Queue(lived)) as queue:
        assert [(job.id, job.state) for job in queue.jobs.select()] == [(3, "done"), (1, "done")]
    assert not os.path.lexists(lived / "records" / "2.json")
    assert os.path.lexists(lived / "records.damaged" / "2.json.damaged")
    assert any(record.levelno == logging.ERROR and "2.json is damaged: " in record.message for record in caplog.records)
    (notice,) = set_aside_notes(lived)
    assert notice.startswith("records of ended jobs were damaged (1); ")


def test_the_row_that_the_others_differ_from_is_right() -> None:
    assert wrong_value(ROW) is None
    assert (
        wrong_value(
            ROW | {"of a newer version": 1, "warnings": ["x"], "result": None, "fps": 2, "source": "/in/\udcff"}
        )
        is None
    )


def test_records_set_aside_at_several_times_are_all_kept(lived: Path) -> None:
    for _ in range(3):
        (lived / "records" / "2.json").write_text("{")
        list(Ledger(lived).rows())
    names = sorted(path.name for path in (lived / "records.damaged").iterdir())
    assert names == ["2.json.damaged", "2.json.damaged-2", "2.json.damaged-3"]
    assert set_aside_notes(lived)[0].startswith("records of ended jobs were damaged (3); ")


def test_damaged_records_leave_with_the_history(lived: Path, queue: Queue) -> None:
    (lived / "records" / "2.json").write_text("{")
    heal(lived)
    later = (lived / "records.damaged" / "2.json.damaged").stat().st_ctime + 31 * 86400
    with closing(Queue(lived)) as opened:
        assert prune(NO_LINKS, opened, 30, later)["leftovers"] == 1
    assert set_aside_notes(lived) == []


def test_a_record_that_the_disk_cannot_read_stays_where_it_is(
    lived: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = objects.read_object

    def failing(path: Path, largest: int) -> Any:
        if path.name == "2.json":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, largest)

    monkeypatch.setattr(ledger, "read_object", failing)
    assert [found["id"] for found in Ledger(lived).rows()] == [1, 3]
    assert "2.json cannot be read and is left out: Input/output error" in caplog.text
    assert (lived / "records" / "2.json").exists()


def test_a_folder_in_the_place_of_a_record_keeps_no_job_from_ending(
    tmp_path: Path, queue: Queue, drop: Drop, claim: Claim
) -> None:
    ended, retried = claim(drop("a.mp4")), claim(drop("b.mp4"))
    records = tmp_path / "state" / "records"
    records.mkdir()
    folder(records / f"{ended.id}.json")
    queue.claims.fail(ended.id, str(ended.lease), "no video", "bad_input", None, [])
    assert queue.ledger.numbers() == [ended.id]
    queue.claims.fail(retried.id, str(retried.lease), "no video", "bad_input", None, [])
    (records / f"{retried.id}.json").unlink()
    folder(records / f"{retried.id}.json")
    queue.requests.retry(retried.id)
    assert queue.jobs.get(retried.id).state == "queued"
    assert len(list((tmp_path / "state" / "records.damaged").iterdir())) == 2
