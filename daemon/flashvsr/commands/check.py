"""`flashvsr check`: is everything in place? Each line says OK, or what to do."""

from __future__ import annotations

import argparse
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from flashvsr.commands.say import say
from flashvsr.errors import BadConfig, FlashVSRError
from flashvsr.files.advice import in_the_way, out_of_reach
from flashvsr.files.state import StateDirectory
from flashvsr.jobs.backends.sqlite.database_file import is_empty
from flashvsr.jobs.queue import Queue
from flashvsr.notify.sending import MISSING_TEXT, SENT, is_available, name_of, outcome_text, understood
from flashvsr.settings.config import Config
from flashvsr.status.findings import Finding, inbox_findings, problem_findings, queue_finding
from flashvsr.status.gather import gather
from flashvsr.status.snapshot import Snapshot
from flashvsr.system.account import account_name, account_of
from flashvsr.system.devices import Slot, discover
from flashvsr.system.text import printable
from flashvsr.weights import choice as weights

LOW_SPACE = 10 << 30  # bytes; a film's chunks and its result need room at the same time


def run(config: Config, _options: argparse.Namespace) -> int:
    """Check everything; 1 if anything needs a hand. (Settings with errors never get here: they are shown, 78.)"""
    failed = False
    for finding in _findings(config):
        failed |= finding.problem is not None
        outcome = "OK  " if finding.problem is None else "TODO"
        say(f"{outcome}  {finding.subject}: {finding.problem or finding.note}")
    return int(failed)


def _findings(config: Config) -> Iterator[Finding]:
    yield from _account(config)
    yield from _settings(config)
    yield from _tools(config)
    yield from _notify(config)
    snapshot, queue = _snapshot(config)
    yield from inbox_findings(snapshot)
    yield from _each("folders", _folders(config))
    slots: list[Slot] = []
    yield _guarded("devices", lambda: _devices(config, slots))
    if slots:
        yield _guarded("weights", lambda: _weights(config, has_gpu=bool(slots[0].visible)))
        for kind in {slot.capability: slot for slot in slots}.values():
            yield _guarded("attention", partial(_attention, config, kind))
    yield from _encoders()
    yield queue
    yield from problem_findings(snapshot)


def _snapshot(config: Config) -> tuple[Snapshot, Finding]:
    """All facts, and what there is to say of the queue: where it cannot be used, the facts are those without it."""
    state = config.paths.state
    try:
        with ExitStack() as stack:
            exists = not is_empty(StateDirectory(state).database)
            queue = stack.enter_context(closing(Queue(state))) if exists else None
            snapshot = gather(config, queue, jobs="none", look=True)
        obstacle = "" if exists else in_the_way(state)
        return snapshot, Finding("queue", "", f"none can be made: {obstacle}") if obstacle else queue_finding(snapshot)
    except FlashVSRError as error:
        problem = str(error)
    except OSError as error:
        problem = out_of_reach(error)
    return gather(config, None, look=True), Finding("queue", "", problem)


def _guarded(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, look())
    except FlashVSRError as error:
        return Finding(subject, "", str(error))
    except OSError as error:
        return Finding(subject, "", out_of_reach(error))


def _each(subject: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield findings up to the first that cannot be made, and say so."""
    try:
        yield from findings
    except OSError as error:
        yield Finding(subject, "", out_of_reach(error))


def _account(config: Config) -> Iterator[Finding]:
    """Root has become the service's account by now, if there is one. Anybody else sees what they may see."""
    service, own = account_of(config.paths.state), account_name(os.geteuid())
    if service not in ("", own):
        text = f"{own} is not the service's account, {service}: what follows is true for {own}. Run this as root"
        yield Finding("account", "", text)


def _settings(config: Config) -> Iterator[Finding]:
    origin = config.origin
    if origin is not None and not os.access(origin, os.R_OK):  # read as root, before this became the service's account
        yield Finding("settings", "", f"{printable(origin)} cannot be read by the service's account; let it read that")
    else:
        yield Finding("settings", printable(origin) if origin else "none found, the defaults apply")
    yield from (Finding("settings", note) for note in config.notes)


def _tools(config: Config) -> Iterator[Finding]:
    for name, program in (("ffmpeg", config.tools.ffmpeg), ("ffprobe", config.tools.ffprobe)):
        if program:
            found = shutil.which(program)
            yield Finding(name, f"{found or program + ' (not found)'}; not needed, PyAV carries FFmpeg")


def _notify(config: Config) -> Iterator[Finding]:
    """Whether messages could be sent; none is. No address is shown."""
    urls = config.notify.urls
    if (urls or config.notify.ping) and config.origin is not None and _open_to_all(config.origin):
        path, account = printable(config.origin), account_of(config.paths.state) or account_name(os.geteuid())
        remedy = f"chown {account} {path}; chmod 600 {path}"
        yield Finding("notify", "", f"everybody on this machine can read the addresses in {path}: {remedy}")
    if not urls:
        return
    if not is_available():
        yield Finding("notify", "", MISSING_TEXT)
        return
    for number, (url, outcome) in enumerate(zip(urls, understood(urls), strict=True), 1):
        good = outcome == SENT
        text = f"tells {', '.join(config.notify.on) or 'nothing'}; `flashvsr notify test` tries it"
        yield Finding(name_of(number, url), text, None if good else outcome_text(outcome))


def _open_to_all(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:  # not for us to look at
        return False


def _folders(config: Config) -> Iterator[Finding]:
    outboxes = {inbox.outbox for inbox in config.inboxes()} | {config.paths.outbox}
    for name, folder in [("state", config.paths.state), *(("outbox", path) for path in sorted(outboxes))]:
        yield from _each(f"{name} {printable(folder)}", _folder(name, folder))


def _folder(name: str, folder: Path) -> Iterator[Finding]:
    subject = f"{name} {printable(folder)}"
    if obstacle := in_the_way(folder):
        yield Finding(subject, "", f"{obstacle}, or name another directory")
        return
    # What does not exist yet is made by the service, below the nearest directory that does.
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if os.statvfs(existing).f_flag & os.ST_RDONLY:
        yield Finding(subject, "", f"{printable(existing)} is mounted read-only; mount it writable")
        return
    free = shutil.disk_usage(existing).free
    space = f"{free / (1 << 30):.1f} GiB free"
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(subject, "", f"{printable(existing)} is not writable; give the service's user access")
    elif free < LOW_SPACE:
        yield Finding(subject, "", f"only {space}; a film needs {LOW_SPACE >> 30} GiB, make room")
    else:
        yield Finding(subject, space if existing == folder else f"{space}, will be created")


def _devices(config: Config, slots: list[Slot]) -> str:
    slots.extend(discover(config.gpu.devices, config.gpu.max_concurrent))
    return ", ".join(f"{slot.name} ({slot.label})" for slot in slots)


def _weights(config: Config, has_gpu: bool) -> str:
    choice = weights.choose(config.model, config.paths.models, has_gpu=has_gpu)
    if choice.fetchable and (obstacle := in_the_way(choice.folder)):
        raise BadConfig(f"{obstacle}, or set paths.models to another directory")
    if choice.fetchable and not weights.is_complete(choice.folder, choice.prompt_file):
        return f"{choice.name} is not there yet, it is fetched at the first job (or by `flashvsr weights fetch`)"
    notes = weights.verify(choice)
    return "; ".join([f"{choice.name} in {printable(choice.folder)}, every key and shape as expected", *notes])


def _attention(config: Config, slot: Slot) -> str:
    from flashvsr.model.attention_choice import attention_for

    if slot.visible and slot.capability is None:
        return f"{config.model.attention}; {slot.label} does not tell its compute capability, so its worker decides"
    chosen = attention_for(config.model.attention, slot.capability)
    if chosen.note:
        raise BadConfig(chosen.note)
    return f"{chosen.attention} on {slot.label}"


def _encoders() -> Iterator[Finding]:
    from flashvsr.video.encode import working_encoders

    for codec, found in working_encoders().items():
        if found:
            yield Finding(f"encoder {codec}", ", ".join(found))
        else:
            yield Finding(f"encoder {codec}", "", "none works; reinstall the av package")
