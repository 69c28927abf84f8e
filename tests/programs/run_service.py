"""Runs the real supervisor with fake workers and a quick pace; started by service.py."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from flashvsr.inbox.watch import InboxWatcher
from flashvsr.notify.post import Pace
from flashvsr.service.pool import Patience
from flashvsr.service.supervisor import Intervals, Supervisor
from flashvsr.settings.config import load_config
from flashvsr.system import logs
from flashvsr.system.devices import CPU, Slot


class HangingWatcher(InboxWatcher):
    """A share that stopped answering."""

    def step(self, now: float) -> None:
        time.sleep(3600)


class FailingWatcher(InboxWatcher):
    """Something about the machine that no step of it gets past."""

    def step(self, now: float) -> None:
        raise RuntimeError("nobody knows why")


WATCHERS = {"hang": HangingWatcher, "fail": FailingWatcher}


def main(config: str, text: str) -> int:
    options: dict[str, Any] = {"first": 0.1, "rest": 60.0, "checkpoint": 5.0, "silence": 30.0} | json.loads(text)
    logs.setup("debug")
    worker = "copying_worker.py" if os.environ["FAKE_WORKER"] == "copy" else "fake_worker.py"
    slots = [Slot(name, name, name, 0) for name in options.get("slots", ())] or [CPU]
    supervisor = Supervisor(
        load_config(Path(config)),
        slots=None if options.get("discover") else slots,
        worker_command=(sys.executable, str(Path(__file__).with_name(worker))),
        make_watcher=WATCHERS.get(options.get("watcher", ""), InboxWatcher),
        patience=Patience(first=options["first"], rest=options["rest"]),
        pace=Intervals(
            turn=0.05,
            report=0.1,
            silence=options["silence"],
            checkpoint=options["checkpoint"],
            watcher_end=0.5,
            telling=Pace(**options.get("telling", {})),
        ),
    )
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
