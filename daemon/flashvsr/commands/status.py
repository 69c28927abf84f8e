"""`flashvsr status`: what the service is doing, for people and for programs."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from flashvsr.commands.requests import existing_queue
from flashvsr.commands.say import say, say_json
from flashvsr.commands.screen import Screen
from flashvsr.errors import BadConfig, FlashVSRError
from flashvsr.files.report_text import bounded_report, report_toml
from flashvsr.files.state import service_process
from flashvsr.jobs.damage import notices
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import DONE, FAILED, FINISHED, HELD, QUEUED, RUNNING, Job, Worker, state_word
from flashvsr.settings.config import Config
from flashvsr.settings.preset import PRESET_NAME, load_preset
from flashvsr.status.problems import Problem, known_problems
from flashvsr.system.text import printable

LAST_FINISHED = 10
FIRST_WAITING = 20
JOB_FIELDS = (
    "id", "state", "inbox", "source", "attempts", "not_before", "slot", "frames_done", "frames_total", "fps", "error",
    "error_kind", "warnings", "result", "model", "created", "claimed", "finished",
)  # fmt: skip


def run(config: Config, options: argparse.Namespace) -> int:
    """Print the status; exit code 0 also where the service does not run: asking was no failure."""
    with existing_queue(config) as queue:
        if options.job is not None:
            return _show_job(queue, options)
        facts = _facts(config, queue, options.all)
    if options.json:
        say_json(facts)
    else:
        _print(facts, options.all)
    return 0


def _show_job(queue: Queue, options: argparse.Namespace) -> int:
    job = queue.jobs.get(options.job) if options.job < 1 << 63 else None
    if job is None:
        raise FlashVSRError(f"there is no job {options.job}; `flashvsr status --all` lists them")
    facts = _job(job) | {"preset": _parsed(job.preset), "report": bounded_report(_parsed(job.report))}
    if options.json:
        say_json(facts)
        return 0
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for key, value in facts.items():
        if value not in (None, [], {}):
            table.add_row(key, _told(key, value))
    Screen().print(table)
    return 0


def _told(key: str, value: Any) -> str | Text:
    if key == "state":
        return state_word(value)
    return _when(value) if key in ("created", "claimed", "finished") else _shown(value)


def _shown(value: Any) -> str | Text:
    if isinstance(value, dict):
        return Text(report_toml(value).rstrip())
    return "\n".join(value) if isinstance(value, list) else str(value)


def _facts(config: Config, queue: Queue, everything: bool) -> dict[str, Any]:
    finished = queue.jobs.select(states=FINISHED, limit=None if everything else LAST_FINISHED)
    open_jobs = queue.jobs.select(states=(RUNNING, HELD, QUEUED))
    process = service_process(config.paths.state)
    problems = known_problems(config.paths.state) if process else []
    # Reading thousands of presets takes minutes, and a share may hang. What the service found is a few seconds old.
    found = problems if process else None
    return {
        "service": {"process": process, "state": printable(config.paths.state)},
        "problems": [asdict(problem) for problem in problems],
        "workers": [_worker(worker) for worker in queue.workers.all()],
        "notices": notices(config.paths.state),
        "counts": queue.jobs.counts(),
        "inboxes": [_inbox(inbox.path, found) for inbox in config.inboxes()],
        "jobs": [_job(job) for job in (*open_jobs, *finished)],
    }


def _worker(worker: Worker) -> dict[str, Any]:
    return {key: getattr(worker, key) for key in ("slot", "pid", "label", "state", "job", "error")}


def _job(job: Job) -> dict[str, Any]:
    facts = {key: getattr(job, key) for key in JOB_FIELDS}
    for key in ("inbox", "source", "result"):
        facts[key] = printable(facts[key]) if facts[key] is not None else None
    return facts


def _inbox(inbox: Path, known: Sequence[Problem] | None) -> dict[str, Any]:
    """`known`: what the running service knows of all presets; None: this one is read now."""
    name = printable(inbox)
    if known is not None:
        wrong = [problem.text for problem in known if problem.subject == name and PRESET_NAME in problem.text]
        return {"path": name, "preset": wrong[0] if wrong else "ok"}
    try:
        load_preset(inbox / PRESET_NAME)
    except BadConfig as error:
        return {"path": name, "preset": str(error)}
    return {"path": name, "preset": "ok"}


def _first_waiting(jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """All jobs but those far back in the queue: a person looks at a screen, and a flood may hold thousands."""
    later = sorted(job["id"] for job in jobs if job["state"] == QUEUED)[FIRST_WAITING:]
    return [job for job in jobs if job["state"] != QUEUED or not later or job["id"] < later[0]]


def _print(facts: dict[str, Any], everything: bool) -> None:
    process = facts["service"]["process"]
    say(f"service: {f'running, process {process}' if process else 'not running'}")
    for worker in facts["workers"]:
        doing = f"job {worker['job']}" if worker["job"] else worker["state"]
        trouble = f": {worker['error']}" if worker["error"] else ""
        say(f"{worker['slot']} ({worker['label']}): {doing}{trouble}")
    for problem in facts["problems"]:
        say(f"problem since {_when(problem['since'])}: {Problem(**problem)}")
    if not process:  # else the service's own problems tell this
        for notice in facts["notices"]:
            say(notice)
        for inbox in facts["inboxes"]:
            if inbox["preset"] != "ok":
                say(f"inbox {inbox['path']}: {inbox['preset']}")
    counts = ", ".join(f"{number} {state_word(state)}" for state, number in facts["counts"].items() if number)
    say(f"jobs: {counts or 'none'}")
    jobs = facts["jobs"] if everything else _first_waiting(facts["jobs"])
    if jobs:
        Screen().print(_table(jobs))
    if len(jobs) < len(facts["jobs"]):
        say(f"and {len(facts['jobs']) - len(jobs)} more that wait: flashvsr status --all")


def _table(jobs: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("id", "state", "file", "progress", "what"):
        table.add_column(name, overflow="fold")
    for job in jobs:
        table.add_row(str(job["id"]), state_word(job["state"]), Path(job["source"]).name, _progress(job), _what(job))
    return table


def _progress(job: dict[str, Any]) -> str:
    done, total = job["frames_done"] or 0, job["frames_total"]
    if job["state"] != RUNNING:
        return f"{done} frames" if done else ""
    share = f"{100 * min(done, total) / total:.0f} %, " if total else f"{done} frames, "
    return f"{share}{job['fps'] or 0:.1f} fps"


def _what(job: dict[str, Any]) -> str:
    """The one thing worth knowing: why it waits or failed, or where the result is."""
    if job["error"] and job["state"] in (QUEUED, HELD, FAILED):
        wait = job["not_before"] - time.time() if job["not_before"] else 0
        return f"{job['error']}{f' (again in {wait:.0f} s)' if job['state'] == QUEUED and wait > 0 else ''}"
    # The error of one that is done: its source could not be taken away.
    return "; ".join(text for text in (job["result"], job["error"] if job["state"] == DONE else None) if text)


def _parsed(text: str | None) -> Any:
    return json.loads(text) if text else None


def _when(seconds: Any) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
