"""Tries what the sandbox forbids and what it must allow; prints {"what": null or the error's name} as JSON.

Runs as a service with the unit's own sandbox; needs nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import signal
import socket
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, PR_SET_PDEATHSIG = 0x10000000, 1


def attempt(what: Callable[[], object]) -> str | None:
    try:
        what()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return None


def call(name: str, *arguments: int) -> None:
    """Call a function of the C library; OSError if it fails."""
    if getattr(LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def write(path: str) -> None:
    Path(path).write_text("probe")
    Path(path).unlink()


def read(path: str) -> None:
    with Path(path).open("rb") as file:
        file.read(1)


def open_socket(family: int, kind: int = socket.SOCK_STREAM) -> None:
    socket.socket(family, kind).close()


def make_setuid_file() -> None:
    path = Path("/tmp/setuid")
    path.touch()
    path.chmod(0o4755)


def setgid_is_inherited(root: Path) -> None:
    (root / "inner").mkdir()
    mode = (root / "inner").stat().st_mode
    (root / "inner").rmdir()
    if not mode & 0o2000:
        raise OSError(errno.EPERM, "no setgid bit")


def end_a_group() -> None:
    child = os.fork()
    if child == 0:
        os.setsid()
        threading.Event().wait()
    os.kill(child, 0)
    while os.getpgid(child) != child:
        os.sched_yield()
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)


def run_written_code() -> None:
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.close()


def reach(port: str) -> None:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
    except urllib.error.URLError as error:
        raise error.reason if isinstance(error.reason, OSError) else error from None


def main(outbox: str, port: str) -> None:
    found = {
        "write /etc": attempt(lambda: write("/etc/probe")),
        "write /opt": attempt(lambda: write("/opt/flashvsr/probe")),
        "write /srv beside the share": attempt(lambda: write("/srv/probe")),
        "write /run": attempt(lambda: write("/run/probe")),
        "write the outbox": attempt(lambda: write(f"{outbox}/probe")),
        "write the state": attempt(lambda: write("/var/lib/flashvsr/probe")),
        "write /tmp": attempt(lambda: write("/tmp/probe")),
        "write /dev/shm": attempt(lambda: write("/dev/shm/probe")),
        "read /tmp of the machine": attempt(lambda: read("/tmp/of-the-machine")),
        "list /root": attempt(lambda: list(Path("/root").iterdir())),
        "list /home": attempt(lambda: list(Path("/home").iterdir())),
        "read a sysctl": attempt(lambda: read("/proc/sys/fs/inotify/max_user_watches")),
        "write a sysctl": attempt(lambda: Path("/proc/sys/kernel/core_pattern").open("w").close()),
        "see another user's process": attempt(lambda: read("/proc/1/stat")),
        "read /proc/devices": attempt(lambda: read("/proc/devices")),
        "read mountinfo": attempt(lambda: read("/proc/self/mountinfo")),
        "open a disk": attempt(lambda: read("/dev/probe-device")),
        "open /dev/urandom": attempt(lambda: read("/dev/urandom")),
        "packet socket": attempt(lambda: open_socket(socket.AF_PACKET, socket.SOCK_RAW)),
        "netlink socket": attempt(lambda: open_socket(socket.AF_NETLINK, socket.SOCK_RAW)),
        "internet socket": attempt(lambda: open_socket(socket.AF_INET)),
        "local socket": attempt(lambda: open_socket(socket.AF_UNIX)),
        "reach this machine's network": attempt(lambda: reach(port)),
        "look up a name": attempt(lambda: socket.getaddrinfo("localhost", 80)),
        "new user namespace": attempt(lambda: call("unshare", CLONE_NEWUSER)),
        "become root": attempt(lambda: os.setuid(0)),
        "change an owner": attempt(lambda: os.chown("/tmp", 0, 0)),
        "set a file setuid": attempt(make_setuid_file),
        "inherit setgid": attempt(lambda: setgid_is_inherited(Path(outbox))),
        "real-time priority": attempt(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
        "die with the parent": attempt(lambda: call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)),
        "end a process group": attempt(end_a_group),
        "write code and run it": attempt(run_written_code),
        "inotify": attempt(lambda: call("inotify_init1", 0)),
    }
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    found["capabilities"] = status["CapBnd"].strip("0 ") or status["CapEff"].strip("0 ") or None
    found["may gain rights"] = None if status["NoNewPrivs"].strip() == "1" else "yes"
    Path("/var/lib/flashvsr/probe.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
