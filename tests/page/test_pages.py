"""Pages on their way into the outboxes: what is written when, what is left alone, and that nobody waits for a share."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flashvsr.errors import Damaged
from flashvsr.files import marked
from flashvsr.files.mounts import Mounts, ShareAway
from flashvsr.files.trees import Trees
from flashvsr.jobs.inbox_view import EVERY_INBOX
from flashvsr.jobs.owner import Owner
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import QUEUED
from flashvsr.page import pages as pages_module
from flashvsr.page.pages import HTML, TEXT, Pace, Pages
from flashvsr.settings.config import Config
from flashvsr.settings.service_tables import ExtraInbox, Paths, Status
from flashvsr.status.snapshot import JobState, Problem, Snapshot
from kits.pages import HOSTILE
from kits.service import eventually
from kits.snapshots import job, snapshot

FAST = Pace(least=0.0, sign=3600.0, retry=0.0)
Add = Callable[..., int]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "out").mkdir()
    return Config(paths=Paths(tmp_path / "inbox", tmp_path / "out", tmp_path / "state", tmp_path / "models"))


@pytest.fixture
def out(config: Config) -> Path:
    return config.paths.outbox


def settle(pages: Pages) -> None:
    """Wait for what is being written."""
    for page in pages._pages.values():
        page.wait(time.monotonic() + 10)


def shown(pages: Pages, found: Snapshot, config: Config) -> None:
    pages.show(found, config)
    settle(pages)


def listing(place: Path) -> list[str]:
    return sorted(entry.name for entry in place.iterdir())


def due(page: Path) -> tuple[float, float | None]:
    """When a page was written, and by when it says it will be again."""
    body = re.search(r'data-written="(\d+)"(?: data-due="(\d+)")?', page.read_text())
    assert body is not None
    return float(body[1]), float(body[2]) if body[2] else None


def finish(queue: Queue, result: Path) -> int:
    first = queue.inboxes.waiting(EVERY_INBOX, 1)[0]
    claimed = queue.claims.claim(first.id, "{}", Owner("a-host", 1, "boot"), "cpu", 3)
    assert claimed is not None
    queue.claims.finish(claimed.id, str(claimed.lease), result, "nano", "{}", [])
    return claimed.id


def test_both_texts_tell_of_the_queue(queue: Queue, config: Config, out: Path, add: Add) -> None:
    for name in ("a.mp4", *(name for name in HOSTILE if "/" not in name)):
        add(name)
    done = finish(queue, out / "films" / "a.mp4")
    queue.state.thumbnails.mkdir()
    queue.state.thumbnail(done).write_bytes(b"\xff\xd8 picture")
    shown(Pages(queue, FAST), snapshot(), config)
    assert listing(out) == [HTML, TEXT]
    for name in (HTML, TEXT):
        assert "films/" in (out / name).read_text()
        assert "a.mp4" in (out / name).read_text()
    assert "data:image/jpeg;base64,/9gg" in (out / HTML).read_text()
    assert str(out) not in (out / HTML).read_text() + (out / TEXT).read_text()


def test_it_is_written_again_only_when_something_changed(queue: Queue, config: Config, out: Path, add: Add) -> None:
    pages = Pages(queue, FAST)
    shown(pages, snapshot(), config)
    before = (out / HTML).stat()
    shown(pages, snapshot(), config)
    assert (out / HTML).stat() == before
    add("a.mp4")
    shown(pages, snapshot(), config)
    assert "a.mp4" in (out / HTML).read_text()
    before = (out / HTML).stat()
    shown(pages, snapshot(problems=[Problem("disk", "full")]), config)
    assert (out / HTML).stat() != before


def test_not_more_often_than_it_may(queue: Queue, config: Config, out: Path, add: Add) -> None:
    pages = Pages(queue, replace(FAST, least=3600.0))
    shown(pages, snapshot(), config)
    add("a.mp4")
    shown(pages, snapshot(), config)
    assert "a.mp4" not in (out / HTML).read_text()


def test_signs_of_life_become_rare_when_nothing_happens(
    queue: Queue, config: Config, out: Path, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "time", lambda: clock[0])
    monkeypatch.setattr(pages_module._Page, "wait", lambda page, _: page._thread and page._thread.join(10))
    pages = Pages(queue)
    pauses = []
    while clock[0] < 1000 + 36 * 3600:
        shown(pages, snapshot(), config)
        moment, until = due(out / HTML)
        assert (moment, until is not None) == (clock[0], True), "it came when it was due"
        pauses.append(float(until or 0) - moment)
        clock[0] += pauses[-1] - 1
        shown(pages, snapshot(), config)
        assert due(out / HTML)[0] == moment, "and not before"
        clock[0] += 1
    assert pauses[0] == 20
    assert max(pauses) == 6 * 3600
    assert sorted(pauses) == pauses
    assert 30 < len(pauses) < 50
    add("a.mp4")
    shown(pages, snapshot(), config)
    moment, until = due(out / HTML)
    assert until == moment + 20, "it is awake again"


def test_a_person_s_file_stays(queue: Queue, config: Config, out: Path) -> None:
    (out / HTML).write_text("mine")
    (out / TEXT).symlink_to(out / "elsewhere")
    shown(Pages(queue, FAST), snapshot(), config)
    assert listing(out) == ["STATUS (2).html", "STATUS (2).txt", HTML, TEXT]
    assert (out / HTML).read_text() == "mine"
    assert not (out / "elsewhere").exists()


def test_a_share_that_is_away_gets_none(
    queue: Queue, config: Config, out: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(_self: Mounts, _directory: Path) -> None:
        raise ShareAway("nothing is mounted there")

    with monkeypatch.context() as patch:
        patch.setattr(Mounts, "check", away)
        pages = Pages(queue, FAST)
        for _ in range(3):
            shown(pages, snapshot(), config)
    assert listing(out) == []
    assert caplog.text.count("nothing is mounted there") == 1
    shown(pages, snapshot(), config)
    assert listing(out) == [HTML, TEXT]


def test_an_outbox_that_is_not_there_yet_is_not_made(
    queue: Queue, config: Config, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out.rmdir()
    pages = Pages(queue, FAST)
    shown(pages, snapshot(), config)
    assert not out.exists()
    assert caplog.text == ""
    out.mkdir()
    shown(pages, snapshot(), config)
    assert listing(out) == [HTML, TEXT]


def test_nobody_waits_for_a_share_that_hangs(
    queue: Queue, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other out"
    other.mkdir()
    config = replace(config, extra_inboxes=(ExtraInbox(tmp_path / "other", other),))
    goes_on, begun = threading.Event(), []
    renew = marked.renew

    def hanging(trees: Trees, path: Path, *values: Any, **options: Any) -> Path:
        begun.append(path)
        if path.parent == other:
            goes_on.wait(20)
        return renew(trees, path, *values, **options)

    monkeypatch.setattr(marked, "renew", hanging)
    pages = Pages(queue, replace(FAST, sign=0.0, stop=0.2))
    began = time.monotonic()
    for _ in range(5):
        pages.show(snapshot(), config)
        time.sleep(0.05)
    pages.stop(snapshot())
    assert time.monotonic() - began < 5
    assert begun.count(other / HTML) == 1, "no second one begins meanwhile"
    assert begun.count(config.paths.outbox / HTML) > 2, "and no other page waits for it"
    goes_on.set()
    settle(pages)


def test_each_outbox_shows_its_own(queue: Queue, config: Config, out: Path, tmp_path: Path, add: Add) -> None:
    other = tmp_path / "private out"
    other.mkdir()
    config = replace(config, extra_inboxes=(ExtraInbox(tmp_path / "private", other),))
    add("ours.mp4")
    add("theirs.mp4", tmp_path / "private")
    problem = Problem(str(tmp_path / "private" / "theirs.mp4"), "cannot be looked into")
    private = str(tmp_path / "private")
    running = [
        job(71, "running", "mine too.mp4", inbox=str(tmp_path / "inbox" / "films")),
        job(72, "running", "theirs too.mp4", inbox=private),
    ]
    shown(Pages(queue, FAST), snapshot(jobs=running, problems=[problem]), config)
    for name in (HTML, TEXT):
        ours, theirs = ((place / name).read_text() for place in (out, other))
        assert "ours.mp4" in ours
        assert "mine too.mp4" in ours
        assert "mine too" not in theirs
        assert "theirs too.mp4" in theirs
        assert "theirs" not in ours
        assert "private" not in ours
        assert "theirs.mp4" in theirs
        assert "ours.mp4" not in theirs


def test_a_service_that_stops_says_so(queue: Queue, config: Config, out: Path) -> None:
    pages = Pages(queue, FAST)
    shown(pages, snapshot(), config)
    assert due(out / HTML)[1] is not None
    pages.stop(snapshot(doing="stopping: now"))
    assert due(out / HTML)[1] is None
    assert "stopped in good order" in (out / TEXT).read_text()


def test_pages_that_are_not_wanted_go(queue: Queue, config: Config, out: Path, tmp_path: Path) -> None:
    other = tmp_path / "other out"
    other.mkdir()
    (other / "film.mp4").touch()
    more = replace(config, extra_inboxes=(ExtraInbox(tmp_path / "other", other),))
    pages = Pages(queue, FAST)
    shown(pages, snapshot(), more)
    assert listing(other) == [HTML, TEXT, "film.mp4"]
    pages.show(snapshot(), config)
    eventually(lambda: listing(other) == ["film.mp4"], "the page of an outbox that is none any more goes")
    shown(pages, snapshot(), config)
    assert listing(out) == [HTML, TEXT]
    off = replace(config, status=Status(page=False))
    pages.show(snapshot(), off)
    eventually(lambda: listing(out) == [], "no page is wanted")
    # Also those that an earlier service left.
    shown(Pages(queue, FAST), snapshot(), config)
    Pages(queue, FAST).show(snapshot(), off)
    eventually(lambda: listing(out) == [], "no page is wanted")


def test_a_page_that_is_being_written_goes_too(
    queue: Queue, config: Config, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, renew = threading.Event(), marked.renew

    def slow(*values: Any, **options: Any) -> Path:
        goes_on.wait(20)
        return renew(*values, **options)

    monkeypatch.setattr(marked, "renew", slow)
    pages = Pages(queue, FAST)
    pages.show(snapshot(), config)
    (writing,) = pages._pages.values()
    pages.show(snapshot(), replace(config, status=Status(page=False)))
    goes_on.set()
    writing.wait(time.monotonic() + 10)
    assert listing(out) == []


def test_a_page_that_cannot_be_made_harms_nothing(
    queue: Queue, config: Config, out: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pages = Pages(queue, FAST)
    with monkeypatch.context() as patch:
        patch.setattr(pages_module, "content_of", lambda *_: 1 / 0)
        for _ in range(3):
            shown(pages, snapshot(), config)
        pages.stop(snapshot())
    assert caplog.text.count("the status page cannot be made: division by zero") == 1
    with monkeypatch.context() as patch:
        patch.setattr(pages_module, "html_page", lambda *_: 1 / 0)
        shown(pages, snapshot(), config)
    assert "no status page in" in caplog.text
    shown(pages, snapshot(), config)
    assert listing(out) == [HTML, TEXT]

    def damaged(*_: object) -> None:
        raise Damaged("the queue")

    monkeypatch.setattr(pages_module, "content_of", damaged)
    with pytest.raises(Damaged):
        pages.show(snapshot(doing="starting"), config)


def test_others_may_read_it_and_not_write_it(queue: Queue, config: Config, out: Path) -> None:
    before = os.umask(0o002)
    try:
        shown(Pages(queue, FAST), snapshot(), config)
    finally:
        os.umask(before)
    assert {(out / name).stat().st_mode & 0o777 for name in (HTML, TEXT)} == {0o644}


def test_a_job_that_went_on_is_shown_once(queue: Queue, config: Config, out: Path, add: Add) -> None:
    """It waited when the snapshot was taken, and has ended when the queue is looked at."""
    number = add("a.mp4")
    waiting = snapshot(jobs=[waiting_job(queue, number)])
    finish(queue, out / "films" / "a.mp4")
    shown(Pages(queue, FAST), waiting, config)
    text = (out / TEXT).read_text().split("-" * 72)[0]
    assert text.count("a.mp4") == 1
    assert "a.mp4: done" in text


def waiting_job(queue: Queue, number: int) -> JobState:
    row = queue.jobs.get(number)
    assert row is not None
    assert row.state == QUEUED
    return JobState.of(row)
