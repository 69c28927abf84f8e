"""The real worker process with an upscaling that copies at once: for tests of everything but the picture.

A file that begins with "deadly" kills the worker; one that begins with "slow" takes until there is a file "go" beside
the settings. A GPU called "broken" is.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import types
from pathlib import Path
from typing import Any

from flashvsr.outbox.publish import Outbox
from flashvsr.upscaling import entry
from flashvsr.upscaling.report import Report
from flashvsr.worker import __main__ as worker
from flashvsr.worker import faults, sweep
from kits.reports import foreseen, report_of


def upscale_file(task: Any, engine: Any, config: Any, control: Any) -> Any:
    control.check_outbox()
    content = task.source.read_bytes()
    if content.startswith(b"deadly"):
        os.kill(os.getpid(), signal.SIGSEGV)
    control.progress(1, 1, 1.0)
    while content.startswith(b"slow") and not Path(os.environ["FAKE_NOTES"]).with_name("go").exists():
        control.working()
        time.sleep(0.05)
    task = control.present(task)

    def report(path: Path) -> Report:
        return report_of(path, "copy", 1)

    outbox = Outbox(task.trees)
    with outbox.new_result(outbox.temporary_for(task.target, task.job_id)) as made:
        made.write(content)
        result = outbox.publish(made, task.target, lambda path, *facts: control.publishing(report(path), *facts))
    return report(result)


copying = entry.Upscaling(
    load_engine=lambda config, on_message: types.SimpleNamespace(name="copy", largest=(3840, 2160)),
    upscale_file=upscale_file,
    salvage=lambda *_: None,
    forecast=foreseen,
)


def main() -> int:
    # Without torch, which takes seconds to load and is not needed.
    setattr(entry, "load", lambda: copying)  # noqa: B010
    setattr(entry, "load_for_ended_jobs", lambda: copying)  # noqa: B010
    # What a killed worker left undone is seen to at once: nothing takes long here.
    sweep.SWEEP_SECONDS, sweep.SETTLE_AFTER = 1.0, 3.0
    faults.FIRST_SECONDS = 1.0  # until a job that waits for something is tried again
    if os.environ["CUDA_VISIBLE_DEVICES"] == "broken":
        return 1
    return worker.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
