"""A running systemd to test against: boots one in a namespace with the tool systemd-box, as root."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from kits.paths import REPOSITORY

BESIDE_THE_REPOSITORY = REPOSITORY.parent / "shared" / "tools" / "systemd-box"
VARIABLE = "SYSTEMD_BOX"  # no FLASHVSR_ one: the settings refuse those that they do not know


def find_tool() -> Path | None:
    """The program: named by a variable, on the PATH, or beside the repository."""
    named = os.environ.get(VARIABLE) or shutil.which("systemd-box")
    if named:
        return Path(named)
    return BESIDE_THE_REPOSITORY if BESIDE_THE_REPOSITORY.exists() else None


class BoxUnavailable(Exception):
    """No systemd can be booted here; the text says why."""


class Box:
    """One booted systemd. What is written inside is gone with it."""

    def __init__(self, read_only_binds: dict[Path, str]) -> None:
        tool = find_tool()
        if tool is None:
            raise BoxUnavailable(f"systemd-box is not here (set {VARIABLE} to its path)")
        if os.geteuid() != 0:
            raise BoxUnavailable("systemd-box needs root")
        self._tool = tool
        self._environment = {**os.environ, "SYSTEMD_BOX_NAME": f"flashvsr-{os.getpid()}"}
        binds = [word for source, target in read_only_binds.items() for word in ("--bind-ro", f"{source}:{target}")]
        started = self._call("start", *binds)
        if started.returncode != 0:
            self.stop()
            raise BoxUnavailable(f"systemd-box does not start: {started.stderr.strip()}")

    def run(self, *command: str, check: bool = True, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root."""
        done = self._call("exec", *command, seconds=seconds)
        if check:
            assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def shell(self, script: str) -> str:
        """Run lines of shell inside, every one of which must succeed; what they print."""
        return self.run("sh", "-euc", script).stdout

    def write(self, path: str, text: str) -> None:
        """Write a file inside; its directory is made."""
        subprocess.run(
            [self._tool, "exec", "sh", "-euc", 'mkdir -p "$(dirname "$1")"; cat > "$1"', "sh", path],
            env=self._environment,
            input=text,
            text=True,
            check=True,
        )

    def stop(self) -> None:
        """Shut it down and clean up."""
        self._call("stop")

    def _call(self, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._tool, *arguments],
            env=self._environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
