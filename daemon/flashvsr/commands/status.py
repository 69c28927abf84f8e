"""`flashvsr status`: what the service is doing, for people and for programs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from flashvsr.commands.requests import existing_queue
from flashvsr.commands.say import say, say_json, say_json_line
from flashvsr.commands.screen import Screen
from flashvsr.commands.watching import each_moment, show_on_screen
from flashvsr.errors import FlashVSRError
from flashvsr.jobs.queue import Queue
from flashvsr.settings.config import Config
from flashvsr.status.facts import facts
from flashvsr.status.gather import gather, gather_job
from flashvsr.status.job_page import JobPage
from flashvsr.status.overview import overview
from flashvsr.status.snapshot import Snapshot


def run(config: Config, options: argparse.Namespace) -> int:
    """Print the status; exit code 0 also where the service does not run: asking was no failure."""
    screen = Screen()
    if options.watch and not options.json and not screen.is_terminal:
        raise FlashVSRError("--watch shows the status on a terminal; for a pipe or a file, use --json --watch")
    with existing_queue(config) as queue:
        if options.watch and options.json:
            for _ in each_moment():
                say_json_line(_facts(_look(config, queue, options)))
        elif options.watch:
            show_on_screen(screen, lambda width: _lines(_look(config, queue, options), options, width))
        elif options.json:
            say_json(_facts(_look(config, queue, options)))
        else:
            for line in _lines(_look(config, queue, options), options, screen.columns):
                say(line)
    return 0


def _look(config: Config, queue: Queue, options: argparse.Namespace) -> Snapshot | JobPage:
    if options.job is None:
        return gather(config, queue, jobs="all" if options.all else "open")
    page = gather_job(config, queue, options.job)
    if page is None:
        raise FlashVSRError(f"there is no job {options.job}; `flashvsr status --all` lists them")
    return page


def _facts(found: Snapshot | JobPage) -> dict[str, Any]:
    return found.facts() if isinstance(found, JobPage) else facts(found)


def _lines(found: Snapshot | JobPage, options: argparse.Namespace, width: int | None) -> Sequence[str]:
    if isinstance(found, JobPage):
        return found.lines(width)
    return list(overview(found, everything=options.all, width=width))
