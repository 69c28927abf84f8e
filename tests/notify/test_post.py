"""Notices on their way: gathered, told once to each address, tried again, dropped."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from flashvsr.errors import NoSpace
from flashvsr.jobs.notices import Notices
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Notice
from flashvsr.notify import sending
from flashvsr.notify.post import Pace, Post
from flashvsr.notify.sending import Message
from flashvsr.settings.notify_table import EVENTS, Notify

A, B = "json://a:hunter2@host/x", "ntfy://hunter2/topic"
PACE = Pace(gather=0.0, pause=60.0, retry=30.0, rise=20.0, fall=600.0)


class Line:
    """What sends, as a test wants it: by address what comes of it."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self.sent: list[tuple[str, str, str]] = []

    def __call__(self, messages: Sequence[Message]) -> list[str]:
        outcomes = [self.outcomes.get(message.url, "sent") for message in messages]
        self.sent += [
            (item.url, item.title.partition(": ")[2], item.body)
            for item, outcome in zip(messages, outcomes, strict=True)
            if outcome == "sent"
        ]
        return outcomes

    def titles(self, url: str = A) -> list[str]:
        return [title for address, title, _ in self.sent if address == url]


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def make_post(tmp_path: Path, line: Line, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Post]]:
    monkeypatch.setattr(sending, "is_available", lambda: True)
    made: list[Post] = []

    def make(*urls: str, on: Sequence[str] = EVENTS, pace: Pace = PACE) -> Post:
        settings = Notify(urls=urls or (A,), on=tuple(on))
        made.append(Post(settings, lambda: Queue(tmp_path / "state"), pace, line))
        return made[-1]

    yield make
    for post in made:
        post.close()


def add(queue: Queue, kind: str = "failed", age: float = 0.0, name: str = "films/a.mp4") -> None:
    with queue.store.writing():
        values = {"kind": kind, "job": 1, "subject": name, "detail": "because", "created": time.time() - age}
        queue.store.run(Notice.insert(**values))


def test_each_notice_is_told_once_also_after_a_restart(
    queue: Queue, make_post: Callable[..., Post], line: Line
) -> None:
    add(queue)
    post = make_post()
    for now in (0.0, 1.0, 100.0):
        post.step((), now)
    make_post().step((), 0.0)
    assert line.titles() == ["1 video has failed"]
    assert queue.notices.pending(10) == []


def test_a_crash_before_the_message_loses_nothing(queue: Queue, make_post: Callable[..., Post], line: Line) -> None:
    add(queue)
    line.outcomes[A] = "no answer"
    make_post().step((), 0.0)
    line.outcomes.clear()
    make_post().step((), 0.0)
    assert line.titles() == ["1 video has failed"]


def test_only_the_address_that_missed_it_is_told_again(
    queue: Queue, make_post: Callable[..., Post], line: Line
) -> None:
    add(queue)
    line.outcomes[B] = "HTTP 500"
    post = make_post(A, B)
    post.step((), 0.0)
    line.outcomes.clear()
    post.step((), 29.0)
    assert line.titles(B) == []
    post.step((), 31.0)
    assert (line.titles(A), line.titles(B)) == (["1 video has failed"], ["1 video has failed"])
    assert queue.notices.pending(10) == []


def test_the_pauses_between_tries_grow(queue: Queue, make_post: Callable[..., Post], line: Line) -> None:
    add(queue)
    tries = []

    def send(messages: Sequence[Message]) -> list[str]:
        tries.append(now)
        return ["no connection"]

    post = make_post()
    post._send = send
    for now in range(0, 500):
        post.step((), float(now))
    assert tries == [0, 30, 90, 210, 450]


def test_what_comes_soon_after_each_other_is_told_together(
    queue: Queue, make_post: Callable[..., Post], line: Line
) -> None:
    post = make_post(pace=Pace(gather=3600.0))
    for index in range(37):
        add(queue, "done", name=f"films/{index}.mp4")
    post.step((), 0.0)
    assert line.sent == []
    add(queue, "done", age=5 * 3600.0)
    post.step((), 1.0)
    assert line.titles() == ["38 videos are done"]


def test_there_is_a_pause_between_messages(queue: Queue, make_post: Callable[..., Post], line: Line) -> None:
    post = make_post()
    for now in range(0, 120, 10):
        add(queue, "done")
        post.step((), float(now))
    assert line.titles() == ["1 video is done", "6 videos are done"]


def test_what_nobody_wants_is_dropped(queue: Queue, make_post: Callable[..., Post], line: Line) -> None:
    for kind in ("done", "skipped", "failed"):
        add(queue, kind)
    make_post(on=["done"]).step((), 0.0)
    assert line.titles() == ["1 video was left as it is, 1 video is done"]
    assert queue.notices.pending(10) == []


def test_without_addresses_nothing_is_kept_for_later(queue: Queue, make_post: Callable[..., Post], line: Line) -> None:
    add(queue)
    post = make_post()
    post.reload(Notify())
    post.step(("x",), 0.0)
    assert (line.sent, queue.notices.pending(10)) == ([], [])


def test_after_a_day_it_is_dropped_with_a_line_in_the_log(
    queue: Queue, make_post: Callable[..., Post], line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    add(queue, age=90_000.0)
    add(queue)
    make_post().step((), 0.0)
    assert line.titles() == ["1 video has failed"]
    assert "1 notices could not be sent for a day" in caplog.text


def test_an_address_that_was_taken_out_misses_nothing(queue: Queue, make_post: Callable[..., Post], line: Line) -> None:
    add(queue)
    line.outcomes[B] = "no connection"
    post = make_post(A, B)
    post.step((), 0.0)
    post.reload(Notify(urls=(A,), on=EVENTS))
    post.step((), 100.0)
    assert queue.notices.pending(10) == []


def test_trouble_is_told_once_until_all_was_well_for_long(
    queue: Queue, make_post: Callable[..., Post], line: Line
) -> None:
    post = make_post()
    for now in range(0, 200, 5):  # it flaps
        post.step(("the disk is full",) if now % 40 < 30 else (), float(now))
    again = make_post()  # a restart
    for now in range(0, 100, 5):
        again.step(("the disk is full",), float(now))
    assert line.titles() == ["something needs a hand"]
    assert line.sent[0][2].startswith("the disk is full. ")
    for now in range(200, 900, 5):
        post.step((), float(now))
    for now in range(900, 1000, 5):
        post.step(("another thing",), float(now))
    assert line.titles() == ["something needs a hand"] * 2


def test_trouble_is_told_although_it_cannot_be_written_down(
    queue: Queue, make_post: Callable[..., Post], line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Notices, *_: object) -> None:
        raise NoSpace("no space left on the device; make room")

    monkeypatch.setattr(Notices, "trouble", full)
    post = make_post()
    for now in range(0, 300, 5):
        post.step(("the disk is full",), float(now))
    assert line.titles() == ["something needs a hand"]


def test_who_was_told_is_remembered_while_it_cannot_be_written_down(
    queue: Queue, make_post: Callable[..., Post], line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(queue)

    def full(self: Notices, *_: object) -> None:
        raise NoSpace("no space left on the device; make room")

    post = make_post()
    with monkeypatch.context() as context:
        context.setattr(Notices, "told", full)
        context.setattr(Notices, "drop", full)
        for now in (0.0, 100.0, 200.0):
            post.step((), now)
        assert len(queue.notices.pending(10)) == 1
    post.step((), 300.0)
    assert line.titles() == ["1 video has failed"]
    assert queue.notices.pending(10) == []


def test_what_fails_is_a_problem_without_the_address(
    queue: Queue, make_post: Callable[..., Post], line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    add(queue)
    line.outcomes |= {A: "HTTP 403", B: "unknown"}
    post = make_post(A, B)
    post.step((), 0.0)
    found = post.problems()
    assert "HTTP 403" in found["address 1 of notify.urls (json)"]
    assert "Apprise knows no such address" in found["address 2 of notify.urls (ntfy)"]
    assert "hunter2" not in json.dumps(found) + caplog.text + repr(post._settings)
    line.outcomes.clear()
    post.step((), 100.0)
    assert post.problems() == {}


def test_a_missing_package_is_a_problem(make_post: Callable[..., Post], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "is_available", lambda: False)
    assert "pip install" in make_post().problems()["notify"]
