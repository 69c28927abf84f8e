"""Many inboxes, many files, a long history: what looking at them costs the service while nothing happens.

    python tests/measure/many.py [--against OTHER/daemon] [--seconds 60] [--only NAME ...] [--result FILE.json]

Each measurement is a process of its own, on real files below the temporary directory. `--against` names the package
directory of another version, which is measured in the same run, right after this one. CPU times are those of the
service process alone, as the kernel counts them. The idle service is the real one at its real pace, its worker sleeps.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import flashvsr
from flashvsr.inbox.watch import InboxWatcher
from flashvsr.jobs.intake import Source
from flashvsr.jobs.queue import Queue
from flashvsr.service.supervisor import Supervisor
from flashvsr.settings.config import Config, load_config
from flashvsr.system.devices import CPU

REPORT = json.dumps({"stages": {f"stage {number}": number / 7 for number in range(60)}})  # as long as a real one
WARM_SECONDS = 25.0  # imports, the first scans, what settles
SLEEPER = """
import os, sys, time
from contextlib import closing
from pathlib import Path
from flashvsr.settings.config import load_config
from flashvsr.jobs.queue import Queue
with closing(Queue(load_config(Path(sys.argv[sys.argv.index("--config") + 1])).paths.state)) as queue:
    queue.workers.set("cpu", os.getpid(), "sleeper", "idle")
time.sleep(3600)
"""

Numbers = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long an idle service is watched")
    parser.add_argument("--only", nargs="*", choices=MEASUREMENTS)
    parser.add_argument("--result", type=Path)
    parser.add_argument("--here", choices=MEASUREMENTS, help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        command = (sys.executable, "-c", SLEEPER)
        sys.exit(Supervisor(load_config(options.serve), slots=[CPU], worker_command=command).run())
    if options.here:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(MEASUREMENTS[options.here](Path(folder), options.seconds)))
        return
    found: dict[str, Any] = {"machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start"}
    for name in options.only or MEASUREMENTS:
        found[name] = {"now": measured(Path(flashvsr.__file__).parents[1], name, options.seconds)}
        if options.against:
            found[name]["before"] = measured(options.against, name, options.seconds)
            found[name]["now_by_before"] = _ratios(**found[name])
        print(json.dumps({name: found[name]}, indent=2), flush=True)
    if options.result:
        options.result.write_text(json.dumps(found, indent=2) + "\n")


def measured(package: Path, name: str, seconds: float) -> Numbers:
    """Measure one thing with the flashvsr in `package`, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--here", name, "--seconds", str(seconds)],
        env=os.environ | {"PYTHONPATH": str(package)},
        check=True,
        stdout=subprocess.PIPE,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _ratios(now: Numbers, before: Numbers) -> Numbers:
    return {key: round(now[key] / before[key], 3) for key in now if before.get(key)}


def empty_inboxes(root: Path, seconds: float) -> Numbers:
    """1,500 empty inboxes: the first scan, which writes their presets, and the ones after it."""
    config = configured(root)
    for number in range(1500):
        (config.paths.inbox / f"inbox {number}").mkdir()
    return _scans(config)


def many_files(root: Path, seconds: float) -> Numbers:
    """2,000 inboxes with 25 files each, all of which the queue knows."""
    config = configured(root)
    inboxes = [config.paths.inbox / f"inbox {number}" for number in range(2000)]
    for inbox in inboxes:
        fill(inbox, 25)
    _known_as(config, inboxes, "done")
    return _scans(config)


def many_new_files(root: Path, seconds: float) -> Numbers:
    """500 inboxes with 20 new files each, which begin to settle."""
    config = configured(root)
    for number in range(500):
        fill(config.paths.inbox / f"inbox {number}", 20)
    return _scans(config)


def idle_kept(root: Path, seconds: float) -> Numbers:
    """The service with 10,000 files that are done and were kept."""
    return _idle(root, seconds, "done")


def idle_failed(root: Path, seconds: float) -> Numbers:
    """The service with 10,000 jobs that failed today."""
    return _idle(root, seconds, "failed")


def idle_kept_polled(root: Path, seconds: float) -> Numbers:
    """The same without inotify, as on a network share."""
    return _idle(root, seconds, "done", 'observer = "poll"')


def idle_empty(root: Path, seconds: float) -> Numbers:
    """The service with nothing at all."""
    return _idle(root, seconds, "done", count=0)


MEASUREMENTS: dict[str, Callable[[Path, float], Numbers]] = {
    function.__name__: function
    for function in (empty_inboxes, many_files, many_new_files, idle_empty, idle_kept, idle_failed, idle_kept_polled)
}


def configured(root: Path, *watch: str) -> Config:
    names = ("inbox", "outbox", "state", "models")
    lines = ["[paths]", *(f'{name} = "{root / name}"' for name in names), "[watch]", *watch]
    for name in names:
        (root / name).mkdir()
    path = root / "flashvsr.toml"
    path.write_text("\n".join(lines) + '\n[model]\nweights = "nano"\n')
    return load_config(path, {})


def fill(inbox: Path, count: int) -> None:
    inbox.mkdir()
    for number in range(count):
        (inbox / f"holiday {number:05}.mp4").write_bytes(b"video")


def _scans(config: Config) -> Numbers:
    with closing(Queue(config.paths.state)) as queue:
        watcher = InboxWatcher(config, queue)
        first = _cost(lambda: watcher.step(0.0))
        later = []
        for number in range(1, 4):
            watcher._next_scan = float("-inf")
            now = number * 1e-3  # nothing has settled
            later.append(_cost(partial(watcher.step, now)))
        watcher.stop()
    return {f"first_scan_{name}": value for name, value in first.items()} | {
        f"next_scan_{name}": sorted(cost[name] for cost in later)[1] for name in first
    }


def _cost(act: Callable[[], None]) -> Numbers:
    wall, cpu = time.monotonic(), time.process_time()
    act()
    return {"wall_s": round(time.monotonic() - wall, 3), "cpu_s": round(time.process_time() - cpu, 3)}


def _idle(root: Path, seconds: float, state: str, *watch: str, count: int = 10_000) -> Numbers:
    config = configured(root, *watch)
    inbox = config.paths.inbox / "clips"
    fill(inbox, count)
    _known_as(config, [inbox], state)
    log = (root / "log").open("wb")
    service = subprocess.Popen([sys.executable, __file__, "--serve", str(config.origin)], stdout=log, stderr=log)
    try:
        time.sleep(WARM_SECONDS)
        if service.poll() is not None:
            raise AssertionError((root / "log").read_text())
        before, began = _cpu_seconds(service.pid), time.monotonic()
        time.sleep(seconds)
        spent = _cpu_seconds(service.pid) - before
        share = 100 * spent / (time.monotonic() - began)
        return {"percent_of_a_core": round(share, 2), "rss_mib": round(_rss_mib(service.pid), 1)}
    finally:
        service.terminate()
        service.wait(30)
        log.close()


def _known_as(config: Config, inboxes: Sequence[Path], state: str) -> None:
    """Queue the files of the inboxes, and let them all have ended."""
    found = [_source(inbox, path) for inbox in inboxes for path in sorted(inbox.iterdir())]
    with closing(Queue(config.paths.state)) as queue:
        for start in range(0, len(found), 500):
            queue.intake.add_many(found[start : start + 500])
        ended = "update job set state = ?, error = ?, report = ?, settled = ?, finished = ?, attempts = 3"
        moment = time.time()
        with queue.store.writing():
            queue.store.database.execute_sql(ended, (state, "not a video", REPORT, moment, moment))


def _source(inbox: Path, path: Path) -> Source:
    return Source.of(inbox, path, path.name, path.lstat())


def _cpu_seconds(pid: int) -> float:
    """Of all threads, as the scheduler counts it: ticks are far too coarse for what wakes up for a moment."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _rss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


if __name__ == "__main__":
    main()
