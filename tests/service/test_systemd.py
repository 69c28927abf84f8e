"""What arrives at a real notification socket."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashvsr.service.systemd import WITHOUT_SYSTEMD_SECONDS, Notifier


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(0.1)

    def messages(self) -> list[list[str]]:
        """All messages so far, each as its lines."""
        received = []
        try:
            while True:
                received.append(self.socket.recv(65536).decode("utf-8").split("\n"))
        except TimeoutError:
            return received


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    made = Systemd(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    yield made
    made.socket.close()


def test_each_message(systemd: Systemd) -> None:
    notifier = Notifier()
    notifier.status("starting")
    notifier.ready("1 running")
    notifier.watchdog()
    notifier.extend_timeout(1.5)
    notifier.stopping("stopping")
    assert systemd.messages() == [
        ["STATUS=starting"],
        ["READY=1", "STATUS=1 running"],
        ["WATCHDOG=1"],
        ["EXTEND_TIMEOUT_USEC=1500000"],
        ["STOPPING=1", "STATUS=stopping"],
    ]


def test_reloading_carries_the_monotonic_time(systemd: Systemd) -> None:
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    Notifier().reloading()
    ((first, second),) = systemd.messages()
    assert first == "RELOADING=1"
    name, _, microseconds = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(microseconds) / 1e6 + 1e-6
    assert int(microseconds) / 1e6 <= time.clock_gettime(time.CLOCK_MONOTONIC)


def test_an_unchanged_status_is_not_repeated(systemd: Systemd) -> None:
    notifier = Notifier()
    for text in ("a", "a", "b", "b", "a"):
        notifier.status(text)
    assert systemd.messages() == [["STATUS=a"], ["STATUS=b"], ["STATUS=a"]]


def test_any_name_survives_and_none_forges_a_message(systemd: Systemd) -> None:
    notifier = Notifier()
    notifier.status("Größe 映画\nREADY=1\udcff \x1b[2J\u202e")
    assert systemd.messages() == [["STATUS=Größe 映画 READY=1\\xff \\x1b[2J\\u202e"]]


def test_a_long_status_is_cut(systemd: Systemd) -> None:
    Notifier().status("x" * 300_000)
    ((line,),) = systemd.messages()
    assert len(line) < 1100
    assert "(300000 characters)" in line


def test_an_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"flashvsr-test-{os.getpid()}"
    systemd = Systemd("\0" + name)
    monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
    Notifier().watchdog()
    assert systemd.messages() == [["WATCHDOG=1"]]
    systemd.socket.close()


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = Notifier()
    assert notifier._systemd.socket is None
    notifier.ready("fine")
    notifier.watchdog()


def test_a_systemd_that_does_not_read_cannot_freeze_the_service(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flashvsr.service.systemd.SEND_SECONDS", 0.01)
    notifier = Notifier()
    begin = time.monotonic()
    for _ in range(50):
        notifier.watchdog()
    assert time.monotonic() - begin < 5
    assert 0 < len(systemd.messages()) < 50


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 15.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, WITHOUT_SYSTEMD_SECONDS),
        ({"WATCHDOG_USEC": "soon"}, WITHOUT_SYSTEMD_SECONDS),
        ({}, WITHOUT_SYSTEMD_SECONDS),
    ],
)
def test_the_watchdog_interval(environ: dict[str, str], seconds: float) -> None:
    assert Notifier(environ).watchdog_seconds == seconds
