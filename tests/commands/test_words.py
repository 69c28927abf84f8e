"""The words for people: a job that is queued in the database is waiting for them, and no name of a state is shown."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from kits.commands import called
from kits.played import Bench

Say = Callable[..., str]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A queue with one job that waits."""
    made = Bench(tmp_path / "work")
    settings = ("[paths]", 'inbox = "inbox"', 'outbox = "outbox"', 'state = "state"', "[gpu]", 'devices = "cpu"')
    (made.root / "flashvsr.toml").write_text("\n".join(settings))
    made.add("a.mp4")
    return made


@pytest.fixture
def say(bench: Bench, capsys: pytest.CaptureFixture[str]) -> Say:
    def command(*arguments: str) -> str:
        told = called(capsys, *arguments, "--config", bench.root / "flashvsr.toml")
        return told.stdout + told.stderr

    return command


def test_a_queued_job_is_waiting_for_people_and_queued_for_programs(say: Say) -> None:
    assert "jobs: 1 waiting\n" in say("status")
    assert re.search(r"^1 +waiting +clips/a\.mp4", say("status"), re.M)
    assert re.search(r"^state +waiting", say("status", "1"), re.M)
    facts = json.loads(say("status", "--json"))
    assert (facts["counts"]["queued"], facts["jobs"][0]["state"]) == (1, "queued")


def test_what_cancel_and_retry_say(say: Say) -> None:
    assert say("retry", "1") == (
        "flashvsr: Job 1 is waiting; only failed, cancelled, skipped and held jobs can be tried again.\n"
    )
    assert say("cancel", "1") == "job 1 is cancelled\n"
    assert say("cancel", "1") == "flashvsr: Job 1 is already cancelled; there is nothing to cancel.\n"
    assert say("retry", "1") == "job 1 waits to be done again\n"


def test_a_running_job_is_not_said_to_be_cancelled_yet(bench: Bench, say: Say) -> None:
    with closing(sqlite3.connect(bench.queue.path)) as database, database:
        database.execute("UPDATE job SET state = 'running', lease = 'x'")
    assert say("cancel", "1") == (
        "job 1 is being cancelled: its worker stops, and what is finished is kept as a partial video\n"
    )
