"""The processes of the soak: starting, stopping and killing them, and what they use."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

from flashvsr.jobs.queue import Queue
from kits.real_service import settings_text

CHUNK, ATTEMPTS = 8, 4
PRESETS = {
    "first": "width = 128\nscale = 2.0\nfit = 'pad'\nencoder = 'software'\n",
    "second": "width = 128\nscale = 2.0\nfit = 'pad'\nencoder = 'software'\ncontainer = 'mkv'\nseed = 7\n",
}


class Processes:
    """One service at a time on the directories below `root`, with its worker."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "state"
        self.log = root / "service.log"
        self.service: subprocess.Popen[bytes] | None = None
        for name, preset in PRESETS.items():
            (root / "inbox" / name).mkdir(parents=True)
            (root / "inbox" / name / "preset.toml").write_text(preset)
        (root / "flashvsr.toml").write_text(settings_text(chunk=CHUNK, attempts=ATTEMPTS))

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, str(Path(__file__).with_name("serve.py")), str(self.root / "flashvsr.toml")]
            self.service = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def alive(self) -> bool:
        return self.service is not None and self.service.poll() is None

    def stop(self) -> int:
        """Stop as systemd does; the exit code."""
        assert self.service is not None
        self.service.send_signal(signal.SIGTERM)
        return self.service.wait(150)

    def kill_service(self) -> None:
        assert self.service is not None
        self.service.kill()
        self.service.wait()

    def kill_worker(self) -> bool:
        """Kill the worker, if there is one."""
        pid = self.worker()
        with suppress(ProcessLookupError):
            if pid:
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    def worker(self) -> int:
        """Process number of the worker; 0 while there is none."""
        if not self.alive() or not (self.state / "queue.db").exists():
            return 0
        assert self.service is not None
        with closing(Queue(self.state)) as queue:
            pids = [worker.pid for worker in queue.workers.all() if worker.pid]
        return next((pid for pid in pids if _parent(pid) == self.service.pid), 0)

    def usage(self) -> dict[str, tuple[int, int]]:
        """(resident KiB, open files) of service and worker."""
        assert self.service is not None
        pids = {"service": self.service.pid if self.alive() else 0, "worker": self.worker()}
        found = {}
        for name, pid in pids.items():
            with suppress(OSError):
                resident = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
                if resident is not None:  # one that is dying has none
                    found[name] = int(resident[1]), len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return found

    def left_over(self, patience: float = 10.0) -> list[int]:
        """Processes that still have to do with `root`, after some time to end."""
        deadline = time.monotonic() + patience
        while (found := self._related()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def _related(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                with suppress(OSError):
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if any(word.startswith(os.fsencode(self.root) + b"/") for word in words):
                        found.append(int(entry.name))
        return found


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
