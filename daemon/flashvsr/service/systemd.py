"""What the service tells systemd (sd_notify): ready, alive, what it is doing, reloading, stopping."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import sdnotify

from flashvsr.system.text import visible

LONGEST_STATUS = 1_000  # characters; systemd takes 64 KiB, a person far fewer
SEND_SECONDS = 1.0  # a notification never holds the main loop up longer than this
WITHOUT_SYSTEMD_SECONDS = 5.0  # how often the health check runs when nobody asked for a watchdog


class Notifier:
    """Sends state to the service manager, or to nobody when there is none (NOTIFY_SOCKET unset)."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._systemd = sdnotify.SystemdNotifier()
        if self._systemd.socket is not None:
            self._systemd.socket.settimeout(SEND_SECONDS)
        self._status = ""
        self.watchdog_seconds = _watchdog_seconds(environ)

    def ready(self, status: str) -> None:
        """Start-up, or a reload, is complete."""
        self._status = status
        self._send("READY=1", f"STATUS={_one_line(status)}")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; sent only when it changed."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={_one_line(text)}")

    def watchdog(self) -> None:
        """The service is healthy. Without this for WatchdogSec, systemd kills and restarts it."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """A reload begins; `ready` ends it. The time stamp lets systemd order it against its own signal."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={microseconds}")

    def stopping(self, status: str) -> None:
        """The service is going down on purpose."""
        self._status = status
        self._send("STOPPING=1", f"STATUS={_one_line(status)}")

    def extend_timeout(self, seconds: float) -> None:
        """Ask for this much longer before systemd loses patience with a start or a stop in progress."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def _send(self, *lines: str) -> None:
        # sdnotify encodes as Latin-1, the protocol is UTF-8: each byte goes in as the character of its value.
        octets = "\n".join(lines).encode("utf-8", "backslashreplace")
        self._systemd.notify(octets.decode("latin-1"))


def _watchdog_seconds(environ: Mapping[str, str]) -> float:
    """Seconds between two WATCHDOG=1 messages: a quarter of what systemd allows."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    meant_for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if not microseconds.isdecimal() or not meant_for_us:
        return WITHOUT_SYSTEMD_SECONDS
    return int(microseconds) / 1e6 / 4


def _one_line(text: str) -> str:
    """A status must not smuggle in a second assignment: file names may hold line ends."""
    return visible(" ".join(text.split()), LONGEST_STATUS)
