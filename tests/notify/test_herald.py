"""The threads beside the loop: pings, and a loop that never waits."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from flashvsr.jobs.queue import Queue
from flashvsr.notify.herald import Herald, failing
from flashvsr.notify.post import Pace
from flashvsr.notify.sending import Message
from flashvsr.settings.notify_table import Notify
from kits.receiver import SECRET, Receiver
from kits.service import eventually

QUICK = Pace(gather=0.0, step=0.02, ping=0.3, rise=0.1)


@pytest.fixture
def make(tmp_path: Path, queue: Queue) -> Iterator[Callable[..., Herald]]:
    made: list[Herald] = []

    def make(settings: Notify, **options: Any) -> Herald:
        made.append(Herald(settings, tmp_path / "state", QUICK, **options))
        made[-1].start()
        return made[-1]

    yield make
    for herald in made:
        herald.end()
        herald.join(10)


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("https://hc-ping.com/abc", "https://hc-ping.com/abc/fail"), ("http://host", "http://host/fail"),
        ("https://host/a/", "https://host/a/fail"), ("https://host/a?create=1", "https://host/a/fail?create=1"),
    ],
)  # fmt: skip
def test_where_failure_is_told(url: str, there: str) -> None:
    assert failing(url) == there


def test_pings_while_all_is_well_and_failure_at_once(make: Callable[..., Herald], receiver: Receiver) -> None:
    herald = make(Notify(ping=receiver.ping))
    time.sleep(0.2)
    assert receiver.paths == []  # nobody knows how it is
    herald.observe((), True)
    eventually(lambda: len(receiver.paths) >= 2, "pings")
    assert set(receiver.paths) == {f"/{SECRET}"}
    herald.observe(("the disk is full",), True)
    eventually(lambda: receiver.paths[-1] == f"/{SECRET}/fail", "the failure")
    herald.observe((), True)
    eventually(lambda: receiver.paths[-1] == f"/{SECRET}", "all is well")
    herald.observe((), False)
    eventually(lambda: receiver.paths[-1] == f"/{SECRET}/fail", "a queue that does not answer")


def test_pings_come_once_in_a_while(make: Callable[..., Herald]) -> None:
    times: list[float] = []

    def ping(_: str) -> str:
        times.append(time.monotonic())
        return "sent"

    make(Notify(ping="http://host"), ping=ping).observe((), True)
    eventually(lambda: len(times) >= 4, "pings")
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= QUICK.ping


def test_a_ping_that_is_not_taken_is_a_problem(make: Callable[..., Herald], receiver: Receiver) -> None:
    receiver.status = 404
    herald = make(Notify(ping=receiver.ping))
    herald.observe((), True)
    text = eventually(lambda: herald.problems().get("notify.ping"), "the problem")
    assert "HTTP 404" in text
    assert SECRET not in text


def test_a_server_that_hangs_holds_up_nobody(make: Callable[..., Herald], queue: Queue) -> None:
    sending, go_on = threading.Event(), threading.Event()

    def send(messages: Sequence[Message]) -> list[str]:
        sending.set()
        go_on.wait()
        return ["sent"] * len(messages)

    herald = make(Notify(urls=("json://x",), on=("trouble",)), send=send)
    queue.notices.trouble("x")
    assert sending.wait(10)
    begun = time.monotonic()
    for _ in range(1000):
        herald.observe(("more",), True)
        herald.problems()
    herald.reload(Notify())
    herald.end()
    assert time.monotonic() - begun < 0.5
    go_on.set()


def test_an_unexpected_error_is_told_without_what_was_sent(
    make: Callable[..., Herald], queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    def send(messages: Sequence[Message]) -> list[str]:
        raise RuntimeError(messages[0].url)

    make(Notify(urls=(f"json://{SECRET}",), on=("trouble",)), send=send)
    queue.notices.trouble("x")
    eventually(lambda: "telling people failed (RuntimeError)" in caplog.text, "the log")
    assert SECRET not in caplog.text
