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
import threading
import urllib.error
import urllib.request
from typing import Any

SENT, UNKNOWN, MISSING = "sent", "unknown", "missing"
NO_CONNECTION, NO_ANSWER, REFUSED = "no connection", "no answer", "refused"

_CODE = re.compile(r"error=([1-5][0-9]{2})\b")
_SPEAKING = threading.Lock()


class _Reasons(logging.Handler):
    """Remembers why sending failed, by thread; a code, or one of the words above."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        text = str(record.msg) if not record.args else record.getMessage()
        code = _CODE.search(text)
        if code is not None:
            self.found[threading.get_ident()] = f"HTTP {code[1]}"
        elif "onnection" in text:
            self.found.setdefault(threading.get_ident(), NO_CONNECTION)


def _say(number: int, outcome: str) -> None:
    with _SPEAKING:
        sys.stdout.write(json.dumps({"number": number, "outcome": outcome}) + "\n")
        sys.stdout.flush()


def _send(apprise: Any, number: int, message: dict[str, str], reasons: _Reasons) -> None:
    try:
        service = apprise.Apprise()
        if not service.add(message["url"]):
            _say(number, UNKNOWN)
        elif "body" not in message or service.notify(
            title=message["title"], body=message["body"], body_format=apprise.NotifyFormat.TEXT
        ):
            _say(number, SENT)
        else:
            _say(number, reasons.found.get(threading.get_ident(), REFUSED))
    except Exception:  # its text may hold the address
        _say(number, REFUSED)


def _messages(messages: list[dict[str, str]], limit: float) -> None:
    """Send all at once: one server that hangs holds up no other. Without a body, only look at the address."""
    logging.disable(logging.NOTSET)
    reasons = _Reasons()
    logging.getLogger().handlers[:] = [reasons]
    try:
        import apprise
    except ImportError:
        for number in range(len(messages)):
            _say(number, MISSING)
        return
    logging.getLogger("apprise").handlers[:] = [reasons]
    threads = [
        threading.Thread(target=_send, args=(apprise, number, message, reasons), daemon=True)
        for number, message in enumerate(messages)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(limit)  # the alarm ends all of it anyway


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
    limit = float(request["limit"])
    signal.alarm(int(limit) + 1)  # also if the process that waits for it is gone
    if "ping" in request:
        _ping(request["ping"])
    else:
        _messages(request["messages"], limit)
    os._exit(0)  # without waiting for threads that hang


if __name__ == "__main__":
    main()
