"""A soak: the real service with the nano model on small clips, killed, stopped and fed at random, checked all the time.

    python tests/measure/soak --minutes 60 --seed 1 --result tests/bench/results/soak.json

Not part of the test suite. Exit code 1 if anything was wrong; then the directories are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import torch

from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import FAILED, Job
from measure.soak.checks import Chunks, Outbox, chunk_files, final_faults
from measure.soak.clips import make_clip
from measure.soak.drops import Dropper
from measure.soak.processes import Processes

CLIPS = 24
BACKLOG = 8  # unfinished jobs, above which nothing more is dropped
TURN = 0.05
DROP_SECONDS = 2.0
FAULT_SECONDS = 22.0  # on average
AIM_SECONDS = 8.0  # how long to wait for the moment a fault is aimed at
SAMPLE_SECONDS = 5.0
MOST_MIB = {"service": 128, "worker": 2048}  # resident; how long the soak goes on does not change it
MOST_FILES = 64
END_SECONDS = 900.0  # for what is unfinished when the time is up
FAULTS = {"worker": 5, "service": 2, "both": 1, "stop": 2}
MOMENTS = {"any": 5, "joining": 2, "published": 2, "chunk": 1}


class Soak:
    """One run. What is wrong collects in `faults`."""

    def __init__(self, root: Path, seed: int, report: Callable[[Soak], None] = lambda soak: None) -> None:
        self.report = lambda: report(self)  # whenever there is news: a soak that is killed has told what it knew
        self.root = root
        self.rng = random.Random(seed)
        self.processes = Processes(root)
        folder = root / "clips"
        folder.mkdir()
        clips = [make_clip(folder, tag, self.rng) for tag in range(1, CLIPS + 1)]
        self.dropper = Dropper(root, clips, self.rng)
        self.outbox = Outbox(root / "outbox", {clip.tag: clip for clip in clips})
        self.chunks = Chunks(root / "state" / "jobs")
        self.partials: set[Path] = set()
        self.faults: list[str] = []
        self.kills: Counter[str] = Counter()
        self.given_up = 0
        self.samples: list[dict[str, tuple[int, int]]] = []
        self._next_drop = self._next_fault = self._next_sample = self._next_look = 0.0

    def run(self, seconds: float) -> None:
        """Feed and disturb the service for so long, then let it come to rest and check everything."""
        self.processes.start()
        end = time.monotonic() + seconds
        self._next_fault = time.monotonic() + FAULT_SECONDS
        while time.monotonic() < end:
            self._turn(disturb=True)
        end = time.monotonic() + END_SECONDS
        while (left := self._unfinished() or self.dropper.busy) and time.monotonic() < end:
            self._turn(disturb=False)
        if left:
            self._complain(f"not done {END_SECONDS:.0f} s after the last disturbance: {self._unfinished()}")
        time.sleep(15)  # a sweep of what was left undone
        if (code := self.processes.stop()) != 0:
            self._complain(f"the service stopped with code {code}")
        if related := self.processes.left_over():
            self._complain(f"processes left over: {related}")
        for fault in (*self.outbox.look(), *self.chunks.look()):
            self._complain(fault)
        for name, most in MOST_MIB.items():
            resident, files = self._most(name)
            if resident > most or files > MOST_FILES:
                self._complain(f"the {name} took {resident} MiB and {files} open files")
        with closing(Queue(self.root / "state")) as queue:
            for fault in final_faults(self.root, self.dropper.drops, queue, self.partials):
                self._complain(fault)

    def _turn(self, disturb: bool) -> None:
        now = time.monotonic()
        self.dropper.step()
        if not self.processes.alive():
            self._complain(f"the service ended by itself: {self._last_log()}")
            self.processes.start()
        if now >= self._next_look:
            self._next_look = now + 0.25
            for fault in (*self.outbox.look(), *self.chunks.look()):
                self._complain(fault)
        if now >= self._next_sample:
            self._next_sample = now + SAMPLE_SECONDS
            self.samples.append(self.processes.usage())
            self.report()
            self._try_failed_again()
        if disturb and now >= self._next_drop:
            self._next_drop = now + self.rng.uniform(0, 2 * DROP_SECONDS)
            if len(self._unfinished()) < BACKLOG:
                self.dropper.drop(self._settled())
        if disturb and now >= self._next_fault:
            self._disturb()
            self._next_fault = time.monotonic() + self.rng.expovariate(1 / FAULT_SECONDS)
        time.sleep(TURN)

    def _disturb(self) -> None:
        fault = self.rng.choices(list(FAULTS), list(FAULTS.values()))[0]
        moment = self.rng.choices(list(MOMENTS), list(MOMENTS.values()))[0]
        if moment != "any" and not self._await(moment):
            moment = "any"
        if fault in ("worker", "both") and not self.processes.kill_worker() and fault == "worker":
            return  # there is none at the moment
        if fault in ("service", "both"):
            self.processes.kill_service()
        elif fault == "stop":
            self._note_chunks()
            if (code := self.processes.stop()) != 0:
                self._complain(f"the service stopped with code {code}: {self._last_log()}")
        self._note_chunks()
        self.kills[f"{fault}, {moment}"] += 1
        if fault != "worker":
            if related := self.processes.left_over():
                self._complain(f"processes left over after {fault}: {related}")
            until = time.monotonic() + self.rng.choice((0, 0, 2))
            while time.monotonic() < until:
                self.dropper.step()
                time.sleep(TURN)
            self.processes.start()

    def _note_chunks(self) -> None:
        for fault in self.chunks.look():
            self._complain(fault)

    def _await(self, moment: str) -> bool:
        """Wait until a result is being joined, has just got its name, or a chunk has just become durable."""
        folders = [folder for folder in (self.root / "outbox").glob("**/") if folder.is_dir()]
        before = self._count(moment, folders)
        end = time.monotonic() + AIM_SECONDS
        while time.monotonic() < end:
            if self._count(moment, folders) > before:
                # Somewhere in the milliseconds that follow.
                time.sleep(self.rng.uniform(0, 0.05))
                return True
            time.sleep(0.001)
        return False

    def _count(self, moment: str, folders: list[Path]) -> int:
        if moment == "chunk":
            return len(chunk_files(self.root / "state" / "jobs"))
        hidden = moment == "joining"
        return sum(entry.name.startswith(".") == hidden for folder in folders for entry in folder.iterdir())

    def _try_failed_again(self) -> None:
        """Good clips that were killed too often: their partial video is checked, then they are tried again."""
        for job in self._jobs((FAILED,)):
            drop = self.dropper.drops.get(Path(job.source))
            if drop is None or drop.clip is None or (self.root / "state" / "jobs" / str(job.id)).exists():
                continue
            self.given_up += 1
            if job.error_kind != "crash":
                self._complain(f"job {job.id} failed: {job.error}")
            if job.result is not None:
                self.partials.add(Path(job.result))
            self.chunks.forget(job.id)
            with closing(Queue(self.root / "state")) as queue:
                queue.requests.retry(job.id)

    def _jobs(self, states: tuple[str, ...] | None = None) -> list[Job]:
        if not (self.root / "state" / "queue.db").exists():
            return []
        with closing(Queue(self.root / "state")) as queue:
            return queue.jobs.select(states)

    def _unfinished(self) -> list[str]:
        """Names of the drops that have no job yet, or one that is not over."""
        drops = self.dropper.drops
        over: Counter[Path] = Counter()
        for job in self._jobs():
            drop = drops.get(Path(job.source))
            rubbish = drop is not None and drop.clip is None
            over[Path(job.source)] += job.state == FAILED if rubbish else job.state == "done" and bool(job.settled)
        return [drop.path.name for drop in drops.values() if over[drop.path] < drop.times]

    def _settled(self) -> list[Path]:
        """Sources that are done, archived and not there any more, and whose every drop is over."""
        unfinished = set(self._unfinished())
        return [
            drop.path for drop in self.dropper.drops.values()
            if drop.clip is not None and drop.path.name not in unfinished and not drop.path.exists()
        ]  # fmt: skip

    def _most(self, name: str) -> tuple[float, int]:
        """The most MiB of memory and open files of a process at any time."""
        found = [sample[name] for sample in self.samples if name in sample]
        resident = max((resident for resident, _ in found), default=0)
        return round(resident / 1024, 1), max((files for _, files in found), default=0)

    def _complain(self, text: str) -> None:
        if text not in self.faults:
            self.faults.append(text)
            print(time.strftime("%H:%M:%S"), "WRONG:", text, flush=True)

    def _last_log(self) -> str:
        return self.processes.log.read_text(errors="backslashreplace")[-2000:]

    def facts(self, seed: int, asked: float, began: float) -> dict[str, Any]:
        """Everything there is to report."""
        log = self.processes.log.read_text(errors="backslashreplace")
        jobs = self._jobs()
        done = [job for job in jobs if job.state == "done"]
        minutes = (time.monotonic() - began) / 60
        frames = sum(job.frames_total or 0 for job in done)
        return {
            "machine": {
                "cpu": _cpu(),
                "cores": len(os.sched_getaffinity(0)),
                "load": [round(value, 2) for value in os.getloadavg()],
                "kernel": platform.release(),
            },
            "versions": {"python": platform.python_version(), "torch": torch.__version__, "av": av.__version__},
            "seed": seed,
            "minutes_asked": asked,
            "minutes": round(minutes, 1),
            "dropped": dict(self.dropper.ways),
            "sources": sum(drop.times for drop in self.dropper.drops.values() if drop.clip is not None),
            "done": len(done),
            "frames": frames,
            "frames_per_minute": round(frames / minutes, 1),
            "failed_as_they_should": sum(job.state == FAILED for job in jobs),
            "given_up_and_tried_again": self.given_up,
            "partial_videos": len(self.partials),
            "attempts_per_done_job": {
                str(attempts): count for attempts, count in sorted(Counter(job.attempts for job in done).items())
            },
            "faults_injected": sum(self.kills.values()),
            "faults_by_kind_and_moment": dict(sorted(self.kills.items())),
            "resumed_from_chunks": log.count("going on at frame"),
            "found_published_already": log.count("done already"),
            "durable_chunks": self.chunks.count,
            "log_lines": {level: log.count(f" {level} ") for level in ("warning", "error")},
            "tracebacks": log.count("Traceback"),
            "most": {
                name: dict(zip(("resident_mib", "open_files"), self._most(name), strict=True)) for name in MOST_MIB
            },
            "wrong": self.faults,
        }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--result", type=Path, help="file for the report, JSON")
    parser.add_argument("--root", type=Path, help="directory to work in; by default a temporary one")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="flashvsr-soak-")) if options.root is None else options.root
    root.mkdir(exist_ok=True)
    began = time.monotonic()

    def report(soak: Soak) -> None:
        if options.result is not None:
            text = json.dumps(soak.facts(options.seed, options.minutes, began), indent=2, ensure_ascii=False)
            options.result.write_text(text + "\n")

    soak = Soak(root, options.seed, report)
    try:
        soak.run(60 * options.minutes)
    except BaseException as error:
        soak.faults.append(f"the soak itself ended: {error!r}")
        raise
    finally:
        if soak.processes.alive():
            soak.processes.kill_service()
        report(soak)
        print(json.dumps(soak.facts(options.seed, options.minutes, began), indent=2, ensure_ascii=False))
    if not soak.faults:
        shutil.rmtree(root)
    return 1 if soak.faults else 0
