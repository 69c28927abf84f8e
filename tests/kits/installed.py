"""flashvsr as systemd/install puts it into a running systemd, and handles to look at it."""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from kits.paths import REPOSITORY
from kits.systemd_box import Box
from kits.waiting import wait_while_it_gets_on

CHECKOUT = "/mnt/checkout"
DEPENDENCIES = "/opt/dependencies"
PYTHON = "/opt/python"
UNIT = "/etc/systemd/system/flashvsr.service"
DROP_INS = "/run/systemd/system/flashvsr.service.d"
SETTINGS = "/etc/flashvsr/flashvsr.toml"
INBOX, OUTBOX = "/srv/flashvsr/inbox/clips", "/srv/flashvsr/outbox/clips"
CLIPS = f"{CHECKOUT}/tests/data/clips"
CLIP = "movie-hello.mp4"  # 36 frames, with sound

# Quick for tests; everything else as shipped.
BASE_SETTINGS = """\
[watch]
settle_seconds = 0.5
poll_seconds = 1
[gpu]
devices = "cpu"
[chunks]
size = 8
"""
# The model works on squares of 128 pixels: one of them.
PRESET = "width = 128\nscale = 1.0\nfit = 'pad'\nencoder = 'software'\n"

# Run inside: a command takes a second to get into the box, and by then a job has gone on.
_HOLD = """
until [ "$(ls /var/lib/flashvsr/jobs/1/chunk-*.nut 2>/dev/null | wc -l)" -ge "$1" ]; do
    ! ls "$2"/*.mp4 2>/dev/null || exit 1
    sleep 0.02
done
worker=$(pgrep -f -- '-m flashvsr[.]worker ')
kill -STOP "$worker"
# A thread that waits for the disk stands still when it comes back, and until then a signal may overtake the stop.
while grep -h '^State:' /proc/$worker/task/*/status | grep -qv '(stopped)'; do sleep 0.02; done
echo "$worker"
"""
_STOP = """
systemctl stop --no-block flashvsr
until [ $((0x$(awk '/^ShdPnd:/ { print $2 }' "/proc/$1/status") & 0x4000)) -ne 0 ]; do sleep 0.02; done
"""


def binds() -> dict[Path, str]:
    """What the box is shown of this machine, at places that the unit does not hide."""
    shown = {REPOSITORY: CHECKOUT, Path(sysconfig.get_path("purelib")): DEPENDENCIES}
    return shown if Path(sys.base_prefix) == Path("/usr") else {**shown, Path(sys.base_prefix): PYTHON}


def prepare_environment(box: Box, prefix: str = "") -> None:
    """Make the virtual environment and put the packages of this one into it: PyTorch takes minutes to install."""
    version = f"python3.{sys.version_info.minor}"
    python = f"{PYTHON if PYTHON in binds().values() else '/usr'}/bin/{version}"
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        box.shell(f"echo {PYTHON}/lib > /etc/ld.so.conf.d/python.conf; ldconfig")
    home = f"{prefix}/opt/flashvsr"
    box.shell(f"""
        {python} -m venv --without-pip {home}
        echo {DEPENDENCIES} > {home}/lib/{version}/site-packages/dependencies.pth""")


def install(box: Box, *arguments: str) -> str:
    """Install for real, but without dependencies; what the script said."""
    pip_args, path = "--no-deps", ""
    if int(metadata.version("setuptools").partition(".")[0]) >= 77:
        # Built with what is here: no network needed.
        pip_args, path = "--no-deps --no-build-isolation", DEPENDENCIES
    script = (f"{CHECKOUT}/systemd/install", *arguments, "--pip-args", pip_args)
    return box.run("env", f"PYTHONPATH={path}", *script).stdout


class Installed:
    """The installed service. Starts each test stopped, without jobs and with quick settings."""

    def __init__(self, box: Box) -> None:
        self.box = box

    def reset(self) -> None:
        """Back to a fresh installation."""
        self.box.run("systemctl", "stop", "flashvsr", check=False)
        self.box.run("systemctl", "reset-failed", "flashvsr", check=False)
        self.box.shell(
            f"rm -rf {DROP_INS} /var/lib/flashvsr/* {INBOX} {OUTBOX};journalctl --rotate --vacuum-time=1s --quiet"
        )
        # Many tests run beside these: threads of PyTorch would wait for each other in loops.
        self.box.write(f"{DROP_INS}/threads.conf", "[Service]\nEnvironment=OMP_NUM_THREADS=1\n")
        self.box.run("systemctl", "daemon-reload")
        self.settings()
        self.box.shell(f"install -d -o flashvsr -g flashvsr -m 2775 {INBOX}")
        self.box.write(f"{INBOX}/preset.toml", PRESET)

    def settings(self, more: str = "", base: str = BASE_SETTINGS) -> None:
        self.box.write(SETTINGS, base + more)

    def drop_in(self, name: str, text: str) -> None:
        self.box.write(f"{DROP_INS}/{name}.conf", text)
        self.box.run("systemctl", "daemon-reload")

    def start(self) -> None:
        self.box.run("systemctl", "start", "flashvsr")

    def stop(self) -> None:
        self.box.run("systemctl", "stop", "flashvsr")

    def property(self, name: str) -> str:
        """What systemd knows about the unit."""
        return self.box.run("systemctl", "show", "flashvsr", "--value", "-p", name).stdout.strip()

    def main_pid(self) -> int:
        return int(self.property("MainPID"))

    def journal(self, *options: str) -> list[dict[str, Any]]:
        """Its entries, those of systemd about it included."""
        out = self.box.run("journalctl", "-u", "flashvsr", "-o", "json", "--no-pager", *options).stdout
        return [json.loads(line) for line in out.splitlines()]

    def messages(self) -> str:
        """The journal as text, one message a line."""
        return "\n".join(str(entry["MESSAGE"]) for entry in self.journal())

    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.box.run("flashvsr", "status", "--json", "--all").stdout)
        return found

    def drop(self, clip: str = CLIP) -> None:
        """Copy a clip into the inbox."""
        self.box.run("cp", f"{CLIPS}/{clip}", f"{INBOX}/{clip}")

    def hold(self, chunks: int = 1) -> int:
        """Let the worker stand still in the middle of job 1: so many chunks durable, others to come; its number."""
        held = self.box.run("sh", "-uc", _HOLD, "sh", str(chunks), OUTBOX, check=False)
        assert held.returncode == 0, f"the job was done before it could be held\n{held.stderr}{self.messages()[-3000:]}"
        return int(held.stdout)

    def release(self, worker: int) -> None:
        self.box.run("kill", "-CONT", str(worker))

    def stop_in_mid_job(self, worker: int) -> None:
        """Stop while this worker is held: it goes on when it has been told."""
        self.box.run("sh", "-euc", _STOP, "sh", str(worker))
        self.release(worker)
        self.stop()

    def chunks(self) -> int:
        """How many are durable of job 1."""
        return len(self.box.run("sh", "-c", "ls /var/lib/flashvsr/jobs/1/chunk-*.nut").stdout.split())

    def until_done(self, attempts: int = 1, outbox: str = OUTBOX) -> None:
        """Wait for the only job to end, and well; then its result is the only thing in the outbox."""
        # Looking costs next to nothing, unlike `flashvsr status`: the worker needs the processor.
        self.until(lambda: self.exists(f"{outbox}/{CLIP} {outbox}/*.error.txt"), "there is a result")
        self.until(lambda: self.facts()["jobs"][0]["state"] in ("done", "failed"), "the job ended")
        (job,) = self.facts()["jobs"]
        assert (job["state"], job["attempts"]) == ("done", attempts), job
        assert self.box.shell(f"ls -A {outbox}").split() == [CLIP]

    def exists(self, patterns: str) -> bool:
        """Whether there is a file of one of these names."""
        return bool(self.box.run("sh", "-c", f"ls -d {patterns} 2>/dev/null", check=False).stdout)

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until the condition holds, as long as the service gets on; its value."""
        try:
            # Each look at it takes the processor from the worker.
            return wait_while_it_gets_on(condition, lambda: self.property("StatusText"), what, pause=0.5)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.property('StatusText')}\n{self.messages()[-3000:]}") from None
