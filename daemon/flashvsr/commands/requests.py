"""`flashvsr retry`, `cancel`, `first` and `redo`: what is asked of jobs, one after the other."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from flashvsr.commands.say import complain, say
from flashvsr.errors import Damaged, FlashVSRError
from flashvsr.files.advice import in_the_way
from flashvsr.files.state import StateDirectory
from flashvsr.jobs.backends.sqlite.database_file import is_empty
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import CANCELLED
from flashvsr.settings.config import Config
from flashvsr.system.account import account_of
from flashvsr.system.text import printable


def retry(config: Config, options: argparse.Namespace) -> int:
    """Put jobs back into the queue."""

    def ask(queue: Queue, job: int) -> str:
        queue.requests.retry(job, force=options.force)
        return f"job {job} waits to be done again"

    if not options.all:
        return _each(config, options.jobs, ask)
    with existing_queue(config) as queue:
        again = queue.requests.retry_all()
    for job in again:
        say(f"job {job} waits to be done again")
    if not again:
        say("no job has failed, there is nothing to do again")
    return 0


def cancel(config: Config, options: argparse.Namespace) -> int:
    """Cancel jobs."""

    def ask(queue: Queue, job: int) -> str:
        if queue.requests.cancel(job) == CANCELLED:
            return f"job {job} is cancelled"
        return f"job {job} is being cancelled: its worker stops, and what is finished is kept as a partial video"

    return _each(config, options.jobs, ask)


def first(config: Config, options: argparse.Namespace) -> int:
    """Put jobs before all others that wait, in the order in which they are named."""
    order: list[int] = []

    def ask(queue: Queue, job: int) -> str:
        queue.requests.first(job)
        order.insert(0, job)
        return ""

    code = _each(config, list(dict.fromkeys(options.jobs))[::-1], ask)  # each comes before those put first earlier
    for place, job in enumerate(order):
        say(f"job {job} comes {'next' if place else 'first'}")
    return code


def redo(config: Config, options: argparse.Namespace) -> int:
    """Make jobs anew that are done, with the preset that their inbox has now."""
    from flashvsr.worker.redo import redo as make_again

    def ask(queue: Queue, job: int) -> str:
        make_again(config, queue, job)
        return f"job {job} waits to be made again, with the preset as it is now; the earlier result stays"

    return _each(config, options.jobs, ask)


def _each(config: Config, jobs: Sequence[int], ask: Callable[[Queue, int], str]) -> int:
    """Ask the same of each job, and tell what there is to tell. One that cannot be done holds up no other."""
    failed = False
    with existing_queue(config) as queue:
        for job in dict.fromkeys(jobs):
            try:
                if told := ask(queue, job):
                    say(told)
            except Damaged:
                raise
            except FlashVSRError as error:
                failed = True
                complain(str(error))
    return int(failed)


@contextmanager
def existing_queue(config: Config) -> Iterator[Queue]:
    """Open the service's queue; FlashVSRError if there is none yet: asking for it must not create one."""
    path = StateDirectory(config.paths.state).database
    try:
        exists = not is_empty(path)  # an empty file is what the service makes a new queue of, and no command does
    except OSError as error:
        raise FlashVSRError(
            f"cannot reach {printable(path)}: {error.strerror}; run this as root, or as the service's account "
            f"{account_of(config.paths.state)}".rstrip()
        ) from error
    if not exists:
        if obstacle := in_the_way(config.paths.state):
            raise FlashVSRError(f"there is no queue: {obstacle}, or set paths.state to another directory")
        raise FlashVSRError(
            f"there is no queue in {printable(config.paths.state)}; start the service first, or give its --config"
        )
    queue = Queue(config.paths.state)
    try:
        yield queue
    finally:
        queue.close()
