"""A page as HTML and as plain text, of one content."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flashvsr.jobs.plain_words import words_for
from flashvsr.jobs.schema import CANCELLED, DONE, FAILED, HELD, QUEUED, RUNNING, SKIPPED
from flashvsr.page.content import STOPPED, Content
from flashvsr.page.wording import LANGUAGES, Both, estimated, form, span
from flashvsr.status.phase import TURN, WORKING
from flashvsr.status.snapshot import RESTING, SERVING, JobState
from flashvsr.system.text import LINE, printable, visible
from flashvsr.system.version import VERSION

if TYPE_CHECKING:  # imported by the first page: a service that writes none does without
    from jinja2 import Environment
    from markupsafe import Markup

GRACE = 40.0  # seconds after the next sign of life is due until the page says that there was none
_HERE = Path(__file__).parent
_BAR = 30  # characters
_TODO = {SKIPPED: "skipped_todo", CANCELLED: "cancelled_todo"}

Say = Callable[..., str]


@dataclass(frozen=True)
class Moment:
    """A time: seconds since the epoch, as the server's clock shows it, and as ISO 8601."""

    epoch: float
    text: str
    iso: str

    @classmethod
    def of(cls, seconds: float, now: float | None = None) -> Moment:
        """`now`: the day that needs no mention."""
        local = datetime.fromtimestamp(seconds).astimezone()
        same_day = now is not None and local.date() == datetime.fromtimestamp(now).date()
        text = f"{local:%H:%M}" if same_day else f"{local:%Y-%m-%d %H:%M}"
        return cls(round(seconds), text, local.isoformat(timespec="seconds"))


@dataclass(frozen=True)
class Signs:
    """When the page is written, and by when it will be written again; None: never, the service has stopped."""

    written: float
    due: float | None


def html_page(content: Content, signs: Signs, root: Path, pictures: Mapping[int, bytes]) -> str:
    """Return STATUS.html. `root`: of the outbox; `pictures`: small JPEGs by the numbers of jobs."""
    from markupsafe import Markup

    style, script = (_raw(name) for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    values = _values(content, signs, root, _say_html) | {"style": Markup(style), "script": Markup(script)}
    for job in values["ended"]:
        data = pictures.get(job["id"])
        job["picture"] = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}" if data else None
    return _environment().get_template("status.html.jinja").render(values, policy=policy)


def text_page(content: Content, signs: Signs, root: Path) -> str:
    """Return STATUS.txt: first in English, then in Chinese."""
    template = _environment().get_template("status.txt.jinja")
    parts = (template.render(_values(content, signs, root, partial(_say_plain, language))) for language in LANGUAGES)
    return f"\n\n{'-' * 72}\n\n".join(part.strip("\n") for part in parts) + "\n"


def _values(content: Content, signs: Signs, root: Path, say: Say) -> dict[str, Any]:
    counts, condition = content.counts, _condition(content)
    now = signs.written
    numbers = {
        "running": len(content.running), "waiting": counts[QUEUED], "done": counts[DONE], "failed": counts[FAILED],
    }  # fmt: skip
    due = {} if signs.due is None else {"due": round(signs.due), "due_at": Moment.of(signs.due, now)}
    return {
        "say": say,
        "version": VERSION,
        "title": f"flashvsr: {counts[RUNNING]} / {counts[QUEUED]}" if content.busy else "flashvsr",
        "condition": condition,
        "written": round(now),
        "written_at": Moment.of(now),
        "due": None,
        "grace": round(GRACE),
        "rests": content.condition == RESTING,
        "until": None if content.until is None else Moment.of(content.until, now),
        "counts": numbers,
        "troubles": [
            {"kind": one.kind, "name": one.name, "detail": one.detail, "since": one.since and Moment.of(one.since, now)}
            for one in content.troubles
        ],
        "running": [_running(job, content, say) for job in content.running],
        "waiting": [_waiting(job, content, say) for job in content.waiting],
        "ends": None if content.ends is None else estimated(content.ends),
        "waiting_more": max(0, counts[QUEUED] - len(content.waiting)),
        "held": [_job(job, content) | {"facts": _sizes(job)} for job in content.held],
        "held_more": max(0, counts[HELD] - len(content.held)),
        "ended": [_ended(job, content, root, now, say) for job in content.ended],
        "drop": content.drop,
    } | due


def _condition(content: Content) -> str:
    if content.condition != SERVING:
        return f"state_{content.condition}"
    if content.running:
        return "state_working"
    return "state_waiting" if content.counts[QUEUED] else "state_idle"


def _job(job: JobState, content: Content) -> dict[str, Any]:
    inbox = content.inboxes.get(job.inbox) or printable(PurePath(job.inbox).name)
    return {"id": job.id, "state": job.state, "folder": f"{inbox}/", "file": printable(job.relative), "link": None}


def _running(job: JobState, content: Content, say: Say) -> dict[str, Any]:
    begun = bool(job.total and job.frames_done)
    share = min(1.0, job.frames_done / job.total) if begun and job.total else None
    facts: list[str] = _sizes(job)
    if job.phase and job.phase != WORKING:
        facts.append(say(f"phase_{job.phase}"))
    if begun:
        facts.append(say("frames_of", n=job.frames_done, total=job.total))
    elif job.frames_done:
        facts.append(say("frames", n=job.frames_done))
    if job.fps:
        facts.append(say("fps", fps=f"{job.fps:.1f}"))
    if job.seconds_left is not None and job.phase == WORKING:
        facts.insert(0, say("left", left=estimated(job.seconds_left)))
    percent = None if share is None else int(100 * share)
    done = 0 if share is None else round(_BAR * share)
    return _job(job, content) | {
        "facts": facts,
        "percent": percent,
        "permille": None if share is None else round(1000 * share),
        "bar": "" if share is None else f"[{'#' * done}{'.' * (_BAR - done)}]",
    }


def _waiting(job: JobState, content: Content, say: Say) -> dict[str, Any]:
    facts = _sizes(job)
    if job.phase and job.phase != TURN:
        facts.append(say(f"phase_{job.phase}"))
    if job.done_in is not None and not (job.will_skip or job.refused):
        facts.append(say("done_in", left=estimated(job.done_in)))
    note = say("will_skip") if job.will_skip else ""
    if job.refused:
        note = say("refused")
    return _job(job, content) | {"facts": facts, "note": note}


def _ended(job: JobState, content: Content, root: Path, now: float, say: Say) -> dict[str, Any]:
    result = Path(job.result) if job.result is not None else None
    inside = result is not None and result.is_relative_to(root)
    facts = _sizes(job)
    if job.state == DONE and job.claimed is not None and job.finished is not None:
        facts.append(say("took", span=span(job.finished - job.claimed)))
    todo = say(_TODO[job.state]) if job.state in _TODO else ""
    if job.state == FAILED:
        words = words_for(job.error_kind)
        todo = say("failed_todo", words=Both(f"{words.wrong} {words.help}", words.chinese))
    values = _job(job, content) | {
        "facts": facts,
        "ended": Moment.of(job.finished, now) if job.finished is not None else None,
        "todo": todo,
        "note": content.discretion.text(job.error) if job.error and job.state in (FAILED, SKIPPED) else "",
        "picture": None,
    }
    if result is not None and inside:
        way = result.relative_to(root)
        folder = "" if way.parent == Path() else f"{printable(way.parent)}/"
        values |= {"folder": folder, "file": printable(way.name), "link": "./" + quote(os.fsencode(way))}
    return values


def _sizes(job: JobState) -> list[str]:
    sizes = [f"{size[0]} \u00d7 {size[1]}" for size in (job.source_size, job.result_size) if size]
    return [" → ".join(sizes)] if sizes else []


def _say_html(key: str, **values: Any) -> Markup:
    """A text in both languages, each marked as what it is; the page shows the reader's."""
    from markupsafe import Markup

    parts = []
    for language in LANGUAGES:
        filled = {name: value.of(language) if isinstance(value, Both) else value for name, value in values.items()}
        if isinstance(filled.get("name"), str):
            filled["name"] = Markup('<bdi class="name">{}</bdi>').format(filled["name"])
        text = Markup.escape(form(key, language, values)).format(**filled)
        parts.append(Markup('<span lang="{}">{}</span>').format(language, text))
    return Markup("").join(parts)


def _say_plain(language: str, key: str, **values: Any) -> str:
    filled = {name: value.of(language) if isinstance(value, Both) else value for name, value in values.items()}
    return visible(form(key, language, values).format(**filled), LINE)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _raw(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=lambda name: name != "status.txt.jinja",
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


__all__ = ["GRACE", "STOPPED", "Moment", "Signs", "html_page", "text_page"]
