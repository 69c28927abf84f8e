"""Services that are forked from one process, which has loaded all they need; each is handled like a `Popen`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

from kits.paths import PROGRAMS, python_environment


@cache
def _template() -> subprocess.Popen[str]:
    """One for all tests of this process; it ends with it, when its standard input is closed."""
    return subprocess.Popen(
        [sys.executable, PROGRAMS / "service_template.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=python_environment(),
    )


class ForkedService:
    """`run_service.py` with these arguments; `returncode` as of a `Popen`."""

    def __init__(self, config: Path, options: str, environment: dict[str, str], log: Path) -> None:
        """`log`: a file that is there."""
        self._ended = log.with_name(f"{log.name}.ended")
        self.returncode: int | None = None
        template = _template()
        assert template.stdin is not None
        assert template.stdout is not None
        request = {
            "config": str(config),
            "options": options,
            "environment": environment,
            "directory": str(Path.cwd()),
            "log": str(log),
            "ended": str(self._ended),
        }
        template.stdin.write(json.dumps(request) + "\n")
        template.stdin.flush()
        self.pid = int(template.stdout.readline())

    def poll(self) -> int | None:
        if self.returncode is None and self._ended.exists():
            self.returncode = int(self._ended.read_text())
        return self.returncode

    def wait(self, timeout: float = 60.0) -> int:
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("run_service.py", timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
