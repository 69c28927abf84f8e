"""10,000 small files dropped at once: how long the service takes to queue them, what it needs, how fast jobs begin.

    python tests/measure/flood.py [--files 10000] [--seconds 60] [--result FILE.json]

The service and its worker are real; the worker copies instead of enlarging, so that claims are what is measured. They
begin while the files are still being queued, as they would.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from kits.service import Service, eventually

WORKERS = ("one", "two")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long claims are counted")
    parser.add_argument("--result", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.files, options.seconds)
    text = json.dumps(found, indent=2) + "\n"
    print(text, end="")
    if options.result:
        options.result.write_text(text)


def measure(root: Path, count: int, seconds: float) -> dict[str, Any]:
    service = Service(root, "copy", slots=WORKERS)
    try:
        service.wait_for("READY=1")
        before = memory(service)
        for number in range(count):
            path = service.inbox / f"{number // 1000}" / f"{number}.mp4"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"video %d" % number)
        began = time.monotonic()
        eventually(lambda: total(service) == count, "all queued", 1800)
        queued = time.monotonic() - began
        first, start = done(service), time.monotonic()
        time.sleep(seconds)
        finished, spent = done(service) - first, time.monotonic() - start
        return {
            "what": f"{count} files dropped at once, {len(WORKERS)} workers that copy; load {os.getloadavg()[0]:.1f} "
            f"on {os.cpu_count()} cores",
            "seconds_until_all_are_queued": round(queued, 1),
            "claims_per_second": round(finished / spent, 1),
            "service_mib_before": before,
            "service_mib_at_most": memory(service),
            "seconds_of_status": status_seconds(service, "status"),
            "seconds_of_status_all_json": status_seconds(service, "status", "--all", "--json"),
            "status_line": next(line for line in reversed(service.said) if line.startswith("STATUS=")),
            "service_alive": service.process.poll() is None,
        }
    finally:
        service.close()


def total(service: Service) -> int:
    return sum(service.ask(lambda queue: queue.jobs.counts()).values())


def done(service: Service) -> int:
    return int(service.ask(lambda queue: queue.jobs.counts())["done"])


def memory(service: Service) -> int:
    """The most that the service process ever had in memory, MiB."""
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) >> 10


def status_seconds(service: Service, *command: str) -> float:
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "flashvsr", *command, "--config", service.config], check=True, capture_output=True
    )
    return round(time.monotonic() - began, 2)


if __name__ == "__main__":
    main()
