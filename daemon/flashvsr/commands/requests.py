"""`flashvsr retry` and `flashvsr cancel`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from flashvsr.commands.say import say
from flashvsr.errors import FlashVSRError
from flashvsr.files.advice import in_the_way
from flashvsr.files.state import StateDirectory
from flashvsr.jobs.backends.sqlite.database_file import is_empty
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import CANCELLED
from flashvsr.settings.config import Config
from flashvsr.system.account import account_of
from flashvsr.system.text import printable


def retry(config: Config, options: argparse.Namespace) -> int:
    """Put a job back into the queue."""
    with existing_queue(config) as queue:
        queue.requests.retry(options.job, force=options.force)
    say(f"job {options.job} waits to be done again")
    return 0


def cancel(config: Config, options: argparse.Namespace) -> int:
    """Cancel a job."""
    with existing_queue(config) as queue:
        now = queue.requests.cancel(options.job) == CANCELLED
    if now:
        say(f"job {options.job} is cancelled")
    else:
        say(f"job {options.job} is being cancelled: its worker stops, and what is finished is kept as a partial video")
    return 0


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
