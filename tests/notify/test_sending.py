"""Real messages and pings to a server on this machine. What goes wrong is told without the address."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from flashvsr.notify import sending
from flashvsr.notify.sending import MISSING, NO_ANSWER, SENT, UNKNOWN, Message, mark_of, name_of, ping, send, understood
from kits.receiver import SECRET, Receiver

pytest.importorskip("apprise")


def closed_port(receiver: Receiver) -> int:
    receiver.close()
    return receiver.port


def test_a_message_arrives(receiver: Receiver) -> None:
    assert send([Message(receiver.url, "two words", "films/ä.mp4 is done\nand more")]) == [SENT]
    (message,) = receiver.messages
    assert (message["title"], message["message"]) == ("two words", "films/ä.mp4 is done\nand more")


def test_each_address_has_its_own_outcome(receiver: Receiver) -> None:
    urls = [receiver.url, f"nosuch://{SECRET}", f"json://127.0.0.1:1/{SECRET}"]
    assert send([Message(url, "title", "body") for url in urls]) == [SENT, UNKNOWN, "no connection"]


def test_a_server_that_refuses(receiver: Receiver) -> None:
    receiver.status = 503
    assert send([Message(receiver.url, "title", "body")]) == ["HTTP 503"]


@pytest.mark.slow
def test_a_server_that_hangs_holds_up_no_other(receiver: Receiver) -> None:
    receiver.hangs = True
    other = Receiver()
    try:
        begun = time.monotonic()
        hanging = receiver.url + "?rto=3600&cto=3600"
        assert send([Message(hanging, "a", "b"), Message(other.url, "a", "b")], 6) == [NO_ANSWER, SENT]
        assert time.monotonic() - begun < 12
    finally:
        other.close()


def test_addresses_are_looked_at_without_sending(receiver: Receiver) -> None:
    assert understood([receiver.url, "nosuch://x"]) == [SENT, UNKNOWN]
    assert receiver.messages == []


def test_without_apprise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, receiver: Receiver) -> None:
    (tmp_path / "apprise.py").write_text("raise ImportError('not here')")
    child = tmp_path / "sending_child.py"
    child.write_text(sending.CHILD.read_text())
    monkeypatch.setattr(sending, "CHILD", child)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert send([Message(receiver.url, "a", "b")]) == [MISSING]


@pytest.mark.slow
def test_pings(receiver: Receiver) -> None:
    assert ping(receiver.ping) == SENT
    assert receiver.paths == [f"/{SECRET}"]
    receiver.status = 404
    assert ping(receiver.ping) == "HTTP 404"
    receiver.hangs = True
    assert ping(receiver.ping, 2) == NO_ANSWER


def test_a_ping_to_nobody(receiver: Receiver) -> None:
    assert ping(f"http://127.0.0.1:{closed_port(receiver)}/{SECRET}") == "no connection"


@pytest.mark.parametrize("fault", ["refused", "unreachable", "exception", "unknown"])
def test_no_address_leaves_the_child(receiver: Receiver, tmp_path: Path, fault: str) -> None:
    """Not even on its standard error, which goes nowhere anyway."""
    receiver.status = 500
    url = {"unreachable": f"json://u:{SECRET}@127.0.0.1:1/{SECRET}", "unknown": f"nosuch://{SECRET}"}.get(
        fault, receiver.url
    )
    child = sending.CHILD
    if fault == "exception":
        (tmp_path / "apprise.py").write_text(
            "import logging\n"
            "class NotifyFormat: TEXT = 'text'\n"
            "class Apprise:\n"
            "    def add(self, url): self.url = url; return True\n"
            "    def notify(self, **more):\n"
            "        logging.getLogger('apprise').error('failed: %s', self.url); raise RuntimeError(self.url)\n"
        )
        child = tmp_path / "sending_child.py"
        child.write_text(sending.CHILD.read_text())
    request = f'{{"limit": 20, "messages": [{{"url": "{url}", "title": "a", "body": "b"}}]}}'
    options = [] if fault == "exception" else ["-P"]
    done = subprocess.run([sys.executable, *options, child], input=request, capture_output=True, text=True)
    assert SECRET not in done.stdout + done.stderr
    assert '"outcome"' in done.stdout


def test_what_stands_for_an_address_does_not_show_it() -> None:
    url = f"mailto://me:{SECRET}@example.org"
    assert name_of(2, url) == "address 2 of notify.urls (mailto)"
    assert len(mark_of(url)) == 8
    assert mark_of(url) != mark_of(url + "x")
    assert SECRET not in repr(Message(url, "a", "b"))
