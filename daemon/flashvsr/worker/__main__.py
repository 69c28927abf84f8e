"""`python -m flashvsr.worker`: started by the service, once per GPU. Not meant to be started by hand."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from flashvsr.errors import Damaged, FlashVSRError, NoSpace
from flashvsr.files.state import StateDirectory
from flashvsr.jobs.damage import EX_DAMAGED
from flashvsr.jobs.queue import Queue
from flashvsr.settings.config import load_config
from flashvsr.system import logs
from flashvsr.system.lifeline import die_with
from flashvsr.system.signals import SignalQueue
from flashvsr.worker.foresight import Foresight
from flashvsr.worker.loop import FULL_SECONDS, WorkerLoop
from flashvsr.worker.orders import SIGNALS, Orders

log = logging.getLogger("flashvsr.worker")

IDLE_SECONDS = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Work until told to leave.

    0: left as asked; 1: this process cannot work (any more), a new one may; 65: the queue database is damaged.
    """
    options = _options(arguments)
    die_with(options.parent)
    faulthandler.enable()  # a decoder that crashes on a broken file leaves a trace in the log
    with SignalQueue(SIGNALS) as arrivals:
        orders = Orders(arrivals)
        try:
            config = load_config(options.config)
            logs.setup(config.service.log_level)
            # For the next start: the account of a service may have no home directory.
            os.environ.setdefault("TRITON_CACHE_DIR", str(StateDirectory(config.paths.state).kernels))
            with closing(Queue(config.paths.state)) as queue:
                queue.workers.set(options.slot, os.getpid(), options.label, "starting")
                # Takes seconds: the slot shows as starting meanwhile, and the service is ready only after it.
                from flashvsr.upscaling import entry

                upscaling = entry.load_for_ended_jobs() if options.rest else entry.load()
                loop = WorkerLoop(
                    config,
                    queue,
                    options.slot,
                    options.label,
                    upscaling,
                    orders,
                    lambda: load_config(options.config),
                    options.rest,
                )
                foresight = Foresight(queue, lambda: loop.config, upscaling)
                if not options.rest:  # what a result becomes may depend on the GPU, which a resting worker does not see
                    foresight.start()
                try:
                    _work(loop, orders, arrivals)
                finally:
                    foresight.stop()
        except Damaged as error:
            log.error("%s", error)
            return EX_DAMAGED
        except FlashVSRError as error:
            logs.each_line(log, logging.ERROR, str(error))
            return 1
    return 1 if loop.broken else 0


def _work(loop: WorkerLoop, orders: Orders, arrivals: SignalQueue) -> None:
    while not (orders.leave or loop.broken):
        try:
            busy = loop.step()
        except NoSpace as error:  # the queue cannot be written; the model stays loaded meanwhile
            log.error("%s", error)
            arrivals.wait(FULL_SECONDS)
            continue
        if not busy:
            arrivals.wait(IDLE_SECONDS)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m flashvsr.worker", description=__doc__)
    parser.add_argument("--config", type=Path, help="settings file")
    parser.add_argument("--slot", required=True, help="name of the slot, such as gpu0 or cpu")
    parser.add_argument("--label", required=True, help="the device, for people")
    parser.add_argument("--rest", action="store_true", help="do no jobs, only what is left of those that have ended")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="process that must be alive")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
