"""Who holds a job: a process, named so that a recycled process number is never mistaken for it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Owner:
    """One process on one host. `start` is "<boot>-<ticks>": when it started, in clock ticks since boot."""

    host: str
    pid: int
    start: str


def current_owner() -> Owner:
    """Describe the calling process."""
    pid = os.getpid()
    return Owner(socket.gethostname(), pid, _start_of(pid) or "")


def owner_alive(owner: Owner) -> bool:
    """Tell whether that very process still runs; one of another host counts as alive, we cannot tell."""
    # The host's name alone would not do: it may change with the network, or with each start of a container.
    elsewhere = owner.host != socket.gethostname() and owner.start.partition("-")[0] != this_boot()
    return elsewhere or _start_of(owner.pid) == owner.start


def _start_of(pid: int) -> str | None:
    """Return when process `pid` started, None if it is gone or a zombie waiting to be reaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The program's name may hold spaces and brackets: fields are counted from its last bracket.
    fields = text[text.rindex(b")") + 2 :].split()
    if fields[0] in (b"Z", b"X"):
        return None
    return f"{this_boot()}-{int(fields[19])}"


def this_boot() -> str:
    """Return a short name of this boot: clock ticks and process numbers start again with each one."""
    try:
        return _BOOT_ID.read_text()[:8]
    except OSError:
        return ""
