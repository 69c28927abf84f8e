"""`flashvsr pause` and `flashvsr resume`: no job is worked on for a while, and the GPU is free."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from contextlib import contextmanager

from flashvsr.commands.say import complain, say
from flashvsr.errors import FlashVSRError, Transient
from flashvsr.files.state import service_process
from flashvsr.service.leave_to_work import LeaveToWork
from flashvsr.service.pause import Moment, Pause, PauseFile, end_pause, keep_pause, understand
from flashvsr.settings.config import Config
from flashvsr.settings.kinds import Refused
from flashvsr.settings.timetable import clock_words
from flashvsr.system.account import account_of
from flashvsr.system.text import printable

EX_USAGE = 2


def pause(config: Config, options: argparse.Namespace) -> int:
    """Let running jobs close their chunk, and start none until the pause is over."""
    try:
        wish = understand(options.words)
    except Refused as error:
        complain(str(error))
        return EX_USAGE
    now = Moment.now()
    begun = Pause.begin(wish, now)
    with _reached(config):
        keep_pause(config.paths.state, begun)
    until = begun.until(now)
    end = "flashvsr resume" if until is None or math.isinf(until) else clock_words(until, now.clock)
    if service_process(config.paths.state) is None:
        say(f"paused until {end}; no service runs now, and one that starts does no job until then")
    else:
        say(f"paused until {end}: running jobs save what is done of them, and the GPU is free then")
    return 0


def resume(config: Config, _options: argparse.Namespace) -> int:
    """End a pause."""
    state, now = config.paths.state, Moment.now()
    paused = PauseFile(state).until(now) is not None
    with _reached(config):
        end_pause(state)
    say("the pause is over" if paused else "it was not paused")
    rest = LeaveToWork(state).rest(config.schedule.run, now)
    if rest is not None:
        say(f"no job is worked on all the same: {rest.words}")
    return 0


@contextmanager
def _reached(config: Config) -> Iterator[None]:
    """Say who may do this, and where, if the state directory does not let us."""
    state = config.paths.state
    try:
        yield
    except Transient as error:
        if isinstance(error.__cause__, PermissionError):
            raise FlashVSRError(
                f"cannot write to {printable(state)}: {error.__cause__.strerror}; run this as root, or as the "
                f"service's account {account_of(state)}".rstrip()
            ) from error
        if isinstance(error.__cause__, FileNotFoundError):
            raise FlashVSRError(
                f"there is no directory {printable(state)}; start the service first, or give its --config"
            ) from error
        raise
