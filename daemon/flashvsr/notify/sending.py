"""Sends messages and pings by a child process, which is ended when its time is over. Nothing here logs an address."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHILD = Path(__file__).with_name("sending_child.py")
SEND_SECONDS = 45.0
PING_SECONDS = 15.0

SENT, UNKNOWN, MISSING = "sent", "unknown", "missing"
NO_ANSWER, BROKEN = "no answer", "the sending process failed"
MISSING_TEXT = "the package apprise is missing: run pip install 'flashvsr[notify]', or empty notify.urls"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,40})://")


@dataclass(frozen=True)
class Message:
    """What is sent to one address."""

    url: str
    title: str
    body: str

    def __repr__(self) -> str:
        return f"Message({self.title!r})"


def mark_of(url: str) -> str:
    """What stands for an address where it is remembered whom was told: too short to find the address by it."""
    return hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def name_of(number: int, url: str) -> str:
    """What people read of an address: its number in the list, from 1, and its kind."""
    found = _SCHEME.match(url)
    return f"address {number} of notify.urls ({found[1].lower() if found else 'unknown kind'})"


def is_available() -> bool:
    """Whether Apprise is installed; it is not imported."""
    try:
        return importlib.util.find_spec("apprise") is not None
    except (ImportError, ValueError):
        return False


def send(messages: Sequence[Message], limit: float = SEND_SECONDS) -> list[str]:
    """Send all of them, at the same time; what came of each: SENT, UNKNOWN, MISSING, or words for people."""
    asked = [{"url": item.url, "title": item.title, "body": item.body} for item in messages]
    return _ask({"messages": asked}, len(asked), limit, ("-P",))


def understood(urls: Sequence[str], limit: float = SEND_SECONDS) -> list[str]:
    """Ask Apprise whether it knows such addresses: SENT for yes. Sends nothing."""
    return _ask({"messages": [{"url": url} for url in urls]}, len(urls), limit, ("-P",))


def ping(url: str, limit: float = PING_SECONDS) -> str:
    """Fetch an address; what came of it, as of `send`."""
    return _ask({"ping": url}, 1, limit, ("-I", "-S"))[0]  # quick to start: it happens every minute


def outcome_text(outcome: str) -> str:
    """What came of it, and what to do, for people."""
    if outcome == SENT:
        return "sent"
    if outcome == UNKNOWN:
        return "Apprise knows no such address; look it up at https://github.com/caronc/apprise/wiki"
    if outcome == MISSING:
        return MISSING_TEXT
    return f"not sent: {outcome}; is the address right, and its server up?"


def _ask(request: Mapping[str, Any], number: int, limit: float, options: Sequence[str]) -> list[str]:
    if not number:
        return []
    outcomes = [NO_ANSWER] * number
    text = json.dumps({**request, "limit": limit})
    try:
        done = subprocess.run(
            [sys.executable, *options, str(CHILD)],
            input=text.encode("ascii"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a traceback would show the address
            timeout=limit + 5,  # it ends by itself before
            env={name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"},
            cwd="/",
            check=False,
        )
        said, ended_well = done.stdout, done.returncode in (0, -signal.SIGALRM)
    except subprocess.TimeoutExpired as late:
        said, ended_well = late.stdout or b"", True
    except OSError:
        return [BROKEN] * number
    if not ended_well:
        outcomes = [BROKEN] * number
    for line in said.splitlines():
        try:
            answer = json.loads(line)
            outcomes[int(answer["number"])] = str(answer["outcome"])
        except (ValueError, KeyError, TypeError, IndexError):  # half a line of one that was ended
            continue
    return outcomes
