"""A worker without a model, for tests of the service: registers like the real one, then obeys FAKE_WORKER.

idle        waits; leaves on SIGTERM and SIGUSR1
crash       registers, then exits with code 3
late        takes a second before it registers
hang        claims a job, reports one frame, then ignores every signal; has a child in its group
join        claims a job, joins a result as slowly as a bad share would, and finishes
join-freeze the same, but it freezes in the middle
work        claims a job, reports frames; SIGTERM gives it back, a file "finish" ends it; leaves when asked before
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from flashvsr.jobs.owner import current_owner
from flashvsr.jobs.queue import Queue
from flashvsr.system.lifeline import die_with
from flashvsr.system.signals import SignalQueue


def notes() -> Path:
    """Where it writes down what happens to it; the state and what the test tells it are beside."""
    return Path(os.environ["FAKE_NOTES"])


def note(event: str, pid: int | None = None, **details: Any) -> None:
    line = json.dumps({"event": event, "pid": pid or os.getpid(), "time": time.monotonic(), **details})
    with notes().open("a") as file:
        file.write(line + "\n")


def claim(queue: Queue, slot: str, arrivals: SignalQueue | None = None) -> Any:
    """Wait for a job and take it; None if `arrivals` asks to leave meanwhile."""
    while True:
        came = () if arrivals is None else arrivals.take()
        for number in came:
            note(number.name)
        if {signal.SIGTERM, signal.SIGUSR1} & set(came):
            return None
        job = queue.claims.next_candidate(time.time())
        claimed = job and queue.claims.claim(job.id, "{}", current_owner(), slot, 3)
        if claimed:
            note("claimed", job=claimed.id)
            return claimed
        time.sleep(0.05)


def work(queue: Queue, slot: str, arrivals: SignalQueue) -> None:
    job = claim(queue, slot, arrivals)
    if job is None:
        return
    for done in range(1, 10_000):
        queue.claims.heartbeat(job.id, job.lease, done, 10_000, 5.0)
        came = arrivals.take()
        for number in came:
            note(number.name)
        if signal.SIGTERM in came:
            queue.claims.requeue(job.id, job.lease, "stopped", "transient", 0, False)
            return
        if notes().with_name("finish").exists():
            queue.claims.finish(job.id, job.lease, Path("result.mp4"), "fake", "{}", [])
            return
        time.sleep(0.05)


def join(queue: Queue, slot: str, arrivals: SignalQueue, freeze: bool) -> None:
    """The real joining and checking, three seconds of it without a new frame."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from flashvsr.video.mux import assemble
    from flashvsr.video.probe import probe
    from flashvsr.video.verify import verify
    from flashvsr.worker.job_control import JobControl
    from flashvsr.worker.orders import Orders
    from kits.videos import make_chunks, numbered, write_video

    folder = notes().parent
    info = probe(write_video(folder / f"{os.getpid()}.mp4", [numbered(index) for index in range(30)]))
    chunks, _ = make_chunks(info, (128, 128), folder / f"chunks-{os.getpid()}")
    result = folder / f"result-{os.getpid()}.mp4"
    job = claim(queue, slot)
    control = JobControl(queue, job, Orders(arrivals))
    control.progress(30, 30, 5.0)
    calls = 0

    def slowly() -> None:
        nonlocal calls
        calls += 1
        time.sleep(3600 if freeze and calls == 20 else 0.05)
        control.working()

    note("joining")
    made = assemble(chunks, info, result, "none", "mp4", progress=slowly)
    note("joined")
    verify(result, made.frames, (128, 128), made.duration, progress=slowly)
    queue.claims.finish(job.id, job.lease, result, "fake", "{}", [])


def kept_days(config: Path) -> float:
    """What the settings say of `retention.days`, as they are now."""
    from flashvsr.settings.config import load_config

    return load_config(config).retention.days


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("config", "slot", "label", "parent"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--rest", action="store_true")
    options = parser.parse_args()
    behaviour = os.environ["FAKE_WORKER"]
    die_with(int(options.parent))
    with SignalQueue((signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)) as arrivals:
        note(
            "start",
            cuda=os.environ.get("CUDA_VISIBLE_DEVICES"),
            told_systemd="NOTIFY_SOCKET" in os.environ,
            group=os.getpgid(0),
            rests=options.rest,
        )
        with closing(Queue(notes().with_name("state"))) as queue:
            if behaviour == "late":
                time.sleep(1)
                note("registered")
            queue.workers.set(options.slot, os.getpid(), options.label, "resting" if options.rest else "idle")
            if options.rest:
                behaviour = "idle"
            if behaviour == "crash":
                return 3
            if behaviour == "hang":
                job = claim(queue, options.slot)
                queue.claims.heartbeat(job.id, job.lease, 1, 100, 1.0)
                child = subprocess.Popen(["sleep", "600"])
                note("child", child.pid)
                while True:
                    time.sleep(1)
            if behaviour.startswith("join"):
                join(queue, options.slot, arrivals, freeze=behaviour == "join-freeze")
                return 0
            if behaviour == "work":
                work(queue, options.slot, arrivals)
                return 0
            while True:
                for number in arrivals.take():
                    note(number.name, days=kept_days(Path(options.config)))
                    if number in (signal.SIGTERM, signal.SIGUSR1):
                        return 0
                arrivals.wait(1)


if __name__ == "__main__":
    sys.exit(main())
