"""`flashvsr status`: what the service is doing, for people and for programs."""

from __future__ import annotations

import argparse
import json
from typing import Any

from flashvsr.commands.requests import existing_queue
from flashvsr.commands.say import say, say_json
from flashvsr.commands.screen import Screen
from flashvsr.errors import FlashVSRError
from flashvsr.files.report_text import bounded_report
from flashvsr.jobs.queue import Queue
from flashvsr.settings.config import Config
from flashvsr.status.facts import facts, job_facts
from flashvsr.status.gather import gather
from flashvsr.status.overview import job_overview, overview
from flashvsr.status.snapshot import JobState


def run(config: Config, options: argparse.Namespace) -> int:
    """Print the status; exit code 0 also where the service does not run: asking was no failure."""
    with existing_queue(config) as queue:
        if options.job is not None:
            _show_job(queue, options)
            return 0
        snapshot = gather(config, queue, jobs="all" if options.all else "open")
    if options.json:
        say_json(facts(snapshot))
        return 0
    for part in overview(snapshot, options.all):
        if isinstance(part, str):
            say(part)
        else:
            Screen().print(part)
    return 0


def _show_job(queue: Queue, options: argparse.Namespace) -> None:
    job = queue.jobs.get(options.job) if options.job < 1 << 63 else None
    if job is None:
        raise FlashVSRError(f"there is no job {options.job}; `flashvsr status --all` lists them")
    found = job_facts(JobState.of(job)) | {"preset": _parsed(job.preset), "report": bounded_report(_parsed(job.report))}
    if options.json:
        say_json(found)
    else:
        Screen().print(job_overview(found))


def _parsed(text: str | None) -> Any:
    return json.loads(text) if text else None
