"""Texts and paths of any kind through every door of the queue: stored safe and short, paths byte for byte."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flashvsr.files.mounts import Mounts
from flashvsr.files.report_text import LONGEST, bounded_report
from flashvsr.files.trees import NO_LINKS
from flashvsr.jobs.intake import Source
from flashvsr.jobs.ledger import Ledger
from flashvsr.jobs.owner import current_owner
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job
from flashvsr.outbox.intent import Intent
from flashvsr.outbox.publish import Outbox
from flashvsr.system.text import MOST_LINES, MOST_WARNINGS, STORED, WARNING, storable
from kits.nasty import NAMES, TEXTS, is_safe
from kits.versions import as_version

Drop = Callable[..., int]
Claim = Callable[[int], Job]
KINDS = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
LARGEST_ROW = 1_000 * MOST_WARNINGS * 6 + 2 * LONGEST  # bytes; escapes of JSON take six


def check(text: str | None) -> None:
    assert text is not None
    assert is_safe(text)
    assert len(text) <= STORED + MOST_LINES


def row(queue: Queue, number: int) -> Job:
    """The job as it is now, and its record if it has one; both are looked at."""
    job = queue.jobs.get(number)
    assert job is not None
    kept = {found["id"]: found for found in Ledger(queue.path.parent).rows()}.get(number)
    if kept is not None:
        assert (kept["error"], kept["warnings"], kept["source"]) == (job.error, job.warnings, job.source)
        assert Ledger(queue.path.parent)._path(number).stat().st_size < LARGEST_ROW
    with closing(sqlite3.connect(queue.path)) as connection:
        for value in connection.execute("SELECT * FROM job WHERE id = ?", (number,)).fetchone():
            assert not isinstance(value, str) or len(value) < LARGEST_ROW
    return job


@KINDS
def test_what_went_wrong(queue: Queue, drop: Drop, claim: Claim, inbox: Path, text: str) -> None:
    number = drop()
    queue.intake.hold(inbox, text)
    check(row(queue, number).error)
    queue.intake.release(inbox)
    job = claim(number)
    queue.claims.requeue(number, str(job.lease), text, "transient", 0.0, True)
    check(row(queue, number).error)
    job = claim(number)
    queue.claims.fail(number, str(job.lease), text, "bad_input", None, [text] * 200)
    ended = row(queue, number)
    check(ended.error)
    assert len(ended.warnings) == MOST_WARNINGS
    assert all(len(warning) <= WARNING and is_safe(warning) for warning in ended.warnings)
    queue.history.add_partial(number, inbox / "part.mp4", [text])
    assert len(row(queue, number).warnings) == MOST_WARNINGS
    assert ended.error == storable(text)


@pytest.mark.slow
@KINDS
def test_what_was_made(queue: Queue, drop: Drop, claim: Claim, inbox: Path, text: str) -> None:
    number = drop()
    job = claim(number)
    times = 300 if len(text) < 1000 else 3
    report = json.dumps({"source": {"audio": [{"title": text, "language": text}] * times}, "warnings": [text] * times})
    made: dict[str, Any] = {"model": text, "report_json": report, "warnings": [text]}
    queue.claims.publishing(number, str(job.lease), inbox / "a.mp4", 1, 2, **made)
    queue.claims.finish(number, str(job.lease), inbox / "a.mp4", **made)
    done = row(queue, number)
    check(done.model)
    assert len(done.report or "") <= LONGEST
    facts = json.loads(done.report or "")
    assert bounded_report(facts) == facts, "it is as it will be shown"


@KINDS
def test_what_a_worker_does(queue: Queue, text: str) -> None:
    for _ in range(2):
        queue.workers.set("gpu0", 1, text, "idle", error=text)
    (worker,) = queue.workers.all()
    check(worker.label)
    check(worker.error)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_paths_come_back_byte_for_byte(tmp_path: Path, name: str) -> None:
    state = tmp_path / name
    inbox = state / name
    inbox.mkdir(parents=True)
    source = inbox / f"{name}.mp4"
    source.write_bytes(b"video")
    with closing(Queue(state / "state")) as queue:
        number = queue.intake.add(inbox, source, source.name, source.lstat())
        assert number is not None
        job = queue.claims.claim(number, "{}", current_owner(), "cpu", 3)
        assert job is not None
        queue.claims.finish(number, str(job.lease), source, "m", "{}", [])
        queue.history.settled(number, source, departed=False)
        done = row(queue, number)
        paths = (done.inbox, done.source, done.relative, done.result, done.archived)
        assert [os.fsencode(path or "") for path in paths] == [
            os.fsencode(path or "") for path in (inbox, source, source.name, source, source)
        ]
        assert not queue.intake.unknown([Source.of(inbox, source, source.name, source.lstat())])
        kept = Ledger(state / "state")
        rows = list(kept.rows())
        assert rows[0]["result"] == str(source)
    (state / "state" / "queue.db").unlink()
    with closing(Queue(state / "state")) as queue:
        queue.history.restore(rows, 10)
        assert queue.jobs.get(number).source == str(source)
    mounts = Mounts(state / "state", NO_LINKS)
    mounts.check(inbox)
    assert list(mounts._known()) == [str(inbox)]
    intent = Intent(state / "intent.json", "content", Outbox(NO_LINKS))
    status = source.lstat()
    intent.record(source, status.st_size, status.st_mtime_ns)
    assert intent.fulfilled() == source


def test_raw_texts_of_an_earlier_version_are_read_safe_and_cut(queue: Queue, drop: Drop) -> None:
    numbers = [drop(f"{number}.mp4") for number in range(3)]
    queue.workers.set("gpu0", 1, "GPU", "idle")
    state = queue.path.parent
    queue.close()
    raw = "a\x1b[2J\u202e\nb"
    as_version(state / "queue.db", 2)  # which bounded nothing
    with closing(sqlite3.connect(state / "queue.db")) as connection:
        connection.execute("UPDATE job SET error = ?, warnings = ? WHERE id = 1", (raw, json.dumps([raw, "\udce9"])))
        connection.execute(
            "UPDATE job SET error = ?, warnings = ?, report = ? WHERE id = 2",
            ("ä" * 920_000, json.dumps(["w" * 1_000_000]), json.dumps({"x": "y" * 1_000_000})),
        )
        connection.execute("UPDATE worker SET error = ?", ("e" * 900_000,))
        connection.commit()
    with closing(Queue(state)) as again:
        first, second, third = (again.jobs.get(number) for number in numbers)
        assert first.error == "a\\x1b[2J\\u202e\nb"
        assert first.warnings == ["a\\x1b[2J\\u202e\\nb", "\\xe9"]
        assert third.error is None
        check(second.error)
        assert second.error.endswith("… (920000 characters)")
        assert "1000004 characters" in second.warnings[0]
        assert "1000009 characters" in json.loads(second.report or "")["note"]
        check(again.workers.all()[0].error)
    with closing(sqlite3.connect(state / "queue.db")) as connection:
        (longest,) = connection.execute("SELECT max(length(error), length(warnings)) FROM job WHERE id = 2").fetchone()
        assert longest < 3000
