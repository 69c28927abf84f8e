"""A process of its own that sends: one request on standard input, one JSON line for each answer.

Addresses hold passwords, so they come in by the pipe and nothing of what Apprise, a server or an exception says goes
out: only words from here. It is run as a file, imports nothing of flashvsr, and ends by itself when its time is over.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
import urllib.error
import urllib.request
from typing import Any

SENT, UNKNOWN, MISSING = "sent", "unknown", "missing"
NO_CONNECTION, NO_ANSWER, REFUSED = "no connection", "no answer", "refused"

_CODE = re.compile(r"error=([1-5][0-9]{2})\b")


class _Reason(logging.Handler):
    """Remembers why sending failed: a code, or one of the words above. Nothing else of a record."""

    def __init__(self) -> None:
        super().__init__()
        self.text = REFUSED

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        code = _CODE.search(text)
        if code is not None:
            self.text = f"HTTP {code[1]}"
        elif "onnection" in text and self.text == REFUSED:
            self.text = NO_CONNECTION


def _say(number: int, outcome: str) -> None:
    os.write(1, (json.dumps({"number": number, "outcome": outcome}) + "\n").encode("ascii"))  # a line at once


def _send(apprise: Any, message: dict[str, str]) -> str:
    """What came of it. Without a body, only look at the address."""
    reason = _Reason()
    for logger in (logging.getLogger(), logging.getLogger("apprise")):
        logger.handlers[:] = [reason]
    try:
        service = apprise.Apprise()
        if not service.add(message["url"]):
            return UNKNOWN
        if "body" not in message:
            return SENT
        text = apprise.NotifyFormat.TEXT
        return SENT if service.notify(title=message["title"], body=message["body"], body_format=text) else reason.text
    except Exception:  # its text may hold the address
        return REFUSED


def _messages(messages: list[dict[str, str]], limit: int) -> None:
    """Send all at once, each in a process of its own: one server that hangs holds up no other."""
    try:
        import apprise
    except ImportError:
        for number in range(len(messages)):
            _say(number, MISSING)
        return
    for number, message in enumerate(messages):
        if os.fork() == 0:
            signal.alarm(limit)  # what was set before does not come along
            _say(number, _send(apprise, message))
            os._exit(0)
    for _ in messages:
        os.wait()


def _ping(url: str) -> None:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            _say(0, SENT if answer.status < 400 else f"HTTP {answer.status}")
    except urllib.error.HTTPError as error:
        _say(0, f"HTTP {error.code}")
    except TimeoutError:
        _say(0, NO_ANSWER)
    except Exception:  # its text may hold the address
        _say(0, NO_CONNECTION)


def main() -> None:
    """Do what is asked on standard input."""
    request = json.load(sys.stdin)
    limit = max(1, int(request["limit"]))
    signal.alarm(limit + 2)  # also if the process that waits for it is gone
    if "ping" in request:
        _ping(request["ping"])
    else:
        _messages(request["messages"], limit)
    os._exit(0)  # without waiting for threads that hang


if __name__ == "__main__":
    main()
