"""For tests that interrupt a worker: a world with one job, workers that die on order, a disk that loses its power."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flashvsr.files.state import StateDirectory
from flashvsr.jobs.damage import heal
from flashvsr.jobs.owner import owner_alive
from flashvsr.jobs.queue import Queue
from kits.paths import PROGRAMS, python_environment
from kits.videos import frames_of, number_of
from kits.waiting import last_lines

FRAMES, CHUNK = 29, 8
PRESET = "width = 128\nscale = 1.0\nencoder = 'software'\n"


class Workers:
    """Starts real workers quickly, one after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, PROGRAMS / "crashing_worker.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=python_environment(),
        )

    def run(
        self,
        world: World,
        moment: tuple[str, int, bool] | None = None,
        error: int = 0,
        renames: Sequence[tuple[Path, Path]] = (),
        number: signal.Signals = signal.SIGKILL,
    ) -> int:
        """Let one work until it dies or has nothing to do; its exit code, negative for a signal.

        `error`, `renames`, or the `number` of another signal, which it obeys: what happens at the moment instead of
        its death. AssertionError with the last lines of its log if it ends in another way than it was told to.
        """
        log = world.notes.with_name(f"{world.notes.name}.log")
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {
            "model": world.model,
            "arguments": ["--config", str(world.config), "--slot", "cpu", "--label", "CPU"],
            "notes": str(world.notes),
            "log": str(log),
            "moment": moment
            and dict(
                zip(("function", "call", "after"), moment, strict=True),
                error=error,
                renames=[[str(old), str(new)] for old, new in renames],
                number=number,
            ),
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        code = os.waitstatus_to_exitcode(int(self._process.stdout.readline()))
        expected = -number if moment and number == signal.SIGKILL and not error and not renames else 0
        assert code == expected, f"the worker ended: {code} instead of {expected}\n{last_lines(log)}"
        return code

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


class World:
    """Inbox, outbox and state below one directory, and a job in the queue."""

    def __init__(
        self, root: Path, notes: Path, clip: Path, *, model: bool = False, name: str = "clip.mp4", extra: str = ""
    ) -> None:
        self.root, self.notes, self.model = root, notes, model
        self.inbox, self.outbox, self.state = root / "inbox" / "clips", root / "outbox", root / "state"
        self.config = root / "flashvsr.toml"
        for directory in (self.inbox, self.outbox, self.state / "jobs"):
            directory.mkdir(parents=True, exist_ok=True)
        paths = "".join(f'{name} = "{root / name}"\n' for name in ("inbox", "outbox", "state", "models"))
        if "[watch]" not in extra:
            extra += '[watch]\non_success = "archive"\n'
        self.config.write_text(f"[paths]\n{paths}[chunks]\nsize = {CHUNK}\n[queue]\nmin_free = 0\n{extra}")
        (self.inbox / "preset.toml").write_text(PRESET)
        self.source = self.inbox / name
        self.source.parent.mkdir(exist_ok=True)
        shutil.copyfile(clip, self.source)
        with closing(Queue(self.state)) as queue:
            number = queue.intake.add(self.inbox, self.source, name, self.source.lstat())
        assert number == 1

    def visible(self) -> dict[str, tuple[int, int]]:
        """The files that a person sees in the outbox: inode and time."""
        return {
            str(path.relative_to(self.outbox)): (path.stat().st_ino, path.stat().st_mtime_ns)
            for path in self.outbox.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }

    def durable(self) -> dict[int, tuple[str, int, int]]:
        """The chunks that are there, by their first frame."""
        chunks = self.state.glob("jobs/1/chunk-*.nut")
        return {int(c.name.split("-")[1]): (c.name, c.stat().st_ino, c.stat().st_size) for c in chunks}

    def restart(self) -> None:
        """What the service does at its start."""
        heal(self.state)
        assert not StateDirectory(self.state).all_aside(), "the queue was damaged"
        with closing(Queue(self.state)) as queue:
            queue.claims.recover(lambda owner: not owner_alive(owner))

    def job(self) -> Any:
        with closing(Queue(self.state)) as queue:
            (job,) = queue.jobs.select()
            return job


def goes_on_well(world: World, workers: Workers, clip: Path) -> None:
    """Check what the interruption left, start anew, check what comes out."""
    out, durable = world.visible(), world.durable()
    for name in out:
        is_whole(world.outbox / name)
    chunks_are_whole(world)
    made = world.notes.read_text().split() if world.notes.exists() else []
    world.restart()
    assert workers.run(world) == 0

    job = world.job()
    assert job.state == "done", job.error
    assert job.settled
    assert job.attempts <= 2
    assert list(world.visible()) == ["clips/clip.mp4"]
    assert not out or world.visible() == out, "what was published was made again"
    is_whole(world.outbox / "clips" / "clip.mp4")
    again = [int(first) for first in world.notes.read_text().split()[len(made) :]]
    assert not durable.keys() & set(again), "durable chunks were made again"
    nothing_is_left(world, clip)


def is_whole(result: Path) -> None:
    assert [number_of(picture) for _, picture in frames_of(result)] == list(range(FRAMES))


def chunks_are_whole(world: World) -> None:
    for first, (name, _, _) in world.durable().items():
        numbers = [number_of(picture) for _, picture in frames_of(world.state / "jobs" / "1" / name)]
        count = int(name.split("-")[2])
        assert numbers == list(range(first, first + count))


def nothing_is_left(world: World, clip: Path) -> None:
    (archived,) = (path for path in (world.state / "archive").rglob("*") if path.is_file())
    assert archived.read_bytes() == clip.read_bytes()
    assert world.job().archived == str(archived)
    assert [path.name for path in world.inbox.iterdir()] == ["preset.toml"]
    assert [path.name for path in (world.outbox / "clips").iterdir()] == ["clip.mp4"]
    assert not list((world.state / "jobs").iterdir())


class Disk:
    """A file system in a file. Nothing reaches the file unless it is synced."""

    def __init__(self, folder: Path) -> None:
        self.point = folder / "disk"
        self.point.mkdir()
        self._image, self._copy = folder / "image", folder / "copy"
        with self._image.open("wb") as file:
            file.truncate(48 << 20)
        for command in (["mkfs.ext4", "-q", "-F", str(self._image)], self._mount(self._image)):
            try:
                subprocess.run(command, check=True, capture_output=True, text=True)
            except FileNotFoundError as error:
                pytest.skip(f"needs {error.filename}")
            except subprocess.CalledProcessError as error:
                pytest.skip(f"needs loop mounts: {error.stderr.strip()}")

    def _mount(self, image: Path) -> list[str]:
        # The journal is written when somebody syncs, or after this many seconds.
        return ["mount", "-o", "loop,commit=300", str(image), str(self.point)]

    def sync(self) -> None:
        """What was there before all of this is on the disk."""
        subprocess.run(["sync", "-f", self.point], check=True)

    def cut_power(self) -> None:
        """Go on with what is on the disk at this moment, as after a cold start."""
        shutil.copyfile(self._image, self._copy)
        subprocess.run(["umount", self.point], check=True)
        subprocess.run(self._mount(self._copy), check=True)

    def end(self) -> None:
        while subprocess.run(["umount", "--lazy", self.point], capture_output=True).returncode == 0:
            continue
