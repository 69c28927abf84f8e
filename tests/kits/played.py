"""A queue, an inbox and a worker's loop for tests, all real but the upscaling, which is played."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flashvsr.jobs.owner import current_owner
from flashvsr.jobs.queue import Queue
from flashvsr.outbox.publish import Outbox
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset, preset_to_json
from flashvsr.settings.service_tables import Paths, QueueSettings, Watch
from flashvsr.upscaling.control import Control
from flashvsr.upscaling.forecast import Forecast
from flashvsr.upscaling.report import Report
from flashvsr.upscaling.task import Task
from flashvsr.worker.loop import WorkerLoop
from flashvsr.worker.orders import Orders
from kits.reports import foreseen, report_of

FRAMES = 10


def report(result: Path) -> Report:
    """In the place of the real one."""
    return report_of(result, "played", FRAMES, ["a warning"])


class Engine:
    name = "played"
    largest = 3840, 2160


@dataclass
class Upscaling:
    """Writes a result as the real one would, with something happening in between: `at` a frame or moment."""

    at: dict[Any, Callable[[], object]] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    engines: int = 0
    size: int = 0  # bytes that a result is expected to take
    salvaged: list[str] = field(default_factory=list)
    forecast: Callable[[Path, Preset, Config, bool], Forecast] = foreseen

    def happen(self, moment: Any) -> None:
        self.at.get(moment, lambda: None)()

    def load_engine(self, config: Config, on_message: Callable[[str], None]) -> Engine:
        on_message("loading the model")
        self.happen("load")
        self.engines += 1
        return Engine()

    def upscale_file(self, task: Task, engine: Engine, config: Config, control: Control) -> Report:
        self.tasks.append(task)
        self.happen("start")
        content = task.source.read_bytes() if task.source.exists() else b""
        made_of = report(task.target)
        control.planned((128, 64), made_of.geometry, made_of.frames, ["smaller sound"])
        control.check_room([(task.workdir, self.size), (task.target.parent, self.size)])
        task.workdir.mkdir(exist_ok=True)
        for frame in range(1, FRAMES + 1):
            (task.workdir / "chunk").write_text(str(frame))
            self.happen(frame)
            control.progress(frame, FRAMES, 2.5)
        control.check_outbox()
        task = control.present(task)
        outbox = Outbox(task.trees)
        with outbox.new_result(outbox.temporary_for(task.target, task.job_id)) as made:
            made.write(b"upscaled " + content)
            self.happen("publish")
            result = outbox.publish(
                made,
                task.result(*made_of.geometry.output, engine.name),
                lambda path, size, mtime_ns: control.publishing(report(path), size, mtime_ns),
            )
        self.happen("published")
        return report(result)

    def salvage(self, task: Task, config: Config, reason: str, working: Callable[[], None]) -> Path | None:
        self.salvaged.append(reason)
        self.happen("salvage")
        chunk = task.workdir / "chunk"
        if not chunk.exists():
            return None
        partial = task.target.with_name(f"{task.target.stem}_partial.mp4")
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(chunk.read_bytes())
        return partial


class Arrivals:
    """Signals without a process."""

    def __init__(self) -> None:
        self.queued: list[signal.Signals] = []

    def take(self) -> list[signal.Signals]:
        taken, self.queued = self.queued, []
        return taken


class Bench:
    """A queue with an inbox, and a worker on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.inbox = root / "inbox" / "clips"
        self.outbox = root / "outbox" / "clips"
        self.inbox.mkdir(parents=True)
        (root / "state" / "jobs").mkdir(parents=True)
        self.config = Config(
            paths=Paths(root / "inbox", root / "outbox", root / "state", root / "models"),
            watch=Watch(settle_seconds=1.0, on_success="archive"),
            queue=QueueSettings(max_attempts=2, min_free=0),
        )
        self.queue = Queue(root / "state")
        self.upscaling = Upscaling()
        self.arrivals = Arrivals()
        self.loop = self.new_loop()

    def new_loop(self, rests: bool = False) -> WorkerLoop:
        orders = Orders(self.arrivals)
        upscaling: Any = self.upscaling
        return WorkerLoop(self.config, self.queue, "cpu", "CPU", upscaling, orders, lambda: self.config, rests)

    def add(self, name: str = "clip.mov", age: float = 1000.0) -> int:
        source = self.inbox / name
        source.parent.mkdir(exist_ok=True)
        source.write_bytes(b"source " + os.urandom(4))
        moment = time.time() - age
        os.utime(source, (moment, moment))
        number = self.queue.intake.add(self.inbox, source, name, source.lstat())
        assert number is not None
        return number

    def fail_at(self, moment: Any, error: Exception) -> None:
        def fail() -> None:
            raise error

        self.upscaling.at[moment] = fail

    def job(self, number: int) -> Any:
        job = self.queue.jobs.get(number)
        assert job is not None
        return job

    def workdir(self, number: int) -> Path:
        return self.root / "state" / "jobs" / str(number)

    def delay(self, number: int) -> float:
        """Seconds until the job may be claimed again."""
        return float(self.job(number).not_before - time.time())

    def make_due(self, number: int) -> None:
        """Let its waiting time be over."""
        with self.queue.store.writing():
            self.queue.jobs.change(number, not_before=0.0)

    def outputs(self) -> list[str]:
        if not self.outbox.exists():
            return []
        return sorted(str(path.relative_to(self.outbox)) for path in self.outbox.rglob("*") if path.is_file())


def crash(bench: Bench, number: int, attempts: int) -> None:
    """Leave the job as workers that died in the middle of it would."""
    for _ in range(attempts):
        assert bench.queue.claims.claim(number, preset_to_json(Preset()), current_owner(), "cpu", 99)
        bench.workdir(number).mkdir(exist_ok=True)
        (bench.workdir(number) / "chunk").write_text("3")
        assert bench.queue.claims.recover(lambda owner: True) == [number]


def replace_source(bench: Bench) -> None:
    """Put a new version in its place."""
    (bench.inbox / "clip.mov").write_bytes(b"a longer new version")
