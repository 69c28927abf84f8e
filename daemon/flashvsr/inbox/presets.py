"""The presets of the inboxes: checked when they change; a wrong one holds the jobs of its inbox."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from flashvsr.errors import BadConfig
from flashvsr.files.trees import Trees
from flashvsr.jobs.intake import Terms
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import HELD, QUEUED, SKIPPED
from flashvsr.settings.inbox_preset import check_inbox_preset, write_default_preset
from flashvsr.settings.preset import PRESET_ERROR_NAME, PRESET_NAME, Preset, preset_from_json
from flashvsr.system import logs
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

Version = tuple[int, ...] | None  # None: no such file, or it cannot be looked at


@dataclass(frozen=True)
class _Verdict:
    """What a preset was found to be, and the files as they were then; `wrong` is empty if it is right."""

    preset: Version
    explanation: Version
    wrong: str
    priority: int = 0


class PresetGuard:
    """Knows which inboxes have a wrong preset, and why: `broken` maps the inbox's path to the message."""

    def __init__(self, trees: Trees, queue: Queue, default_quality: int) -> None:
        self._trees = trees
        self._queue = queue
        self._quality = default_quality
        self._verdicts: dict[Path, _Verdict] = {}
        self._inboxes_with: dict[str, frozenset[str]] = {}
        self._priorities: Mapping[str, frozenset[int]] | None = None
        self.broken: dict[str, str] = {}

    def begin(self) -> None:
        """A scan of all inboxes begins: which of them have jobs that wait is asked anew, once."""
        self._inboxes_with = {}
        self._priorities = None

    def terms(self) -> Terms:
        """On which jobs of the inboxes begin to wait, as their presets are."""
        priorities = {str(inbox): verdict.priority for inbox, verdict in self._verdicts.items() if verdict.priority}
        return Terms(self.broken, priorities)

    def check(self, inbox: Path) -> str | None:
        """Check the preset if it changed; hold, release or reorder the jobs; returns what is wrong.

        A missing preset is written with the defaults. A file is parsed once, right or wrong, until it changes or the
        explanation beside it does; one that cannot be read is tried again.
        """
        verdict = self._verdicts.get(inbox)
        if verdict is not None and verdict.preset is not None and verdict.preset == self._version(inbox / PRESET_NAME):
            if not verdict.wrong:
                self._reorder(inbox, verdict.priority)
                return None
            if verdict.explanation == self._version(inbox / PRESET_ERROR_NAME):
                self._hold(inbox, verdict.wrong)
                return verdict.wrong
        return self._judge(inbox)

    def keep_only(self, inboxes: Iterable[Path]) -> None:
        """Forget inboxes that no longer exist."""
        existing = set(inboxes)
        self._verdicts = {inbox: verdict for inbox, verdict in self._verdicts.items() if inbox in existing}
        self.broken = {inbox: why for inbox, why in self.broken.items() if Path(inbox) in existing}

    def _judge(self, inbox: Path) -> str | None:
        before = self.broken.get(str(inbox))
        version: Version = None
        try:
            if self._version(inbox / PRESET_NAME) is None:
                with suppress(BadConfig):  # the check below says why it cannot be written
                    write_default_preset(self._trees, inbox / PRESET_NAME, self._quality)
            version = self._version(inbox / PRESET_NAME)  # before it is read: an edit in between shows at the next scan
            preset = check_inbox_preset(self._trees, inbox, self._quality)
        except BadConfig as error:
            message = str(error)
            self.broken[str(inbox)] = message
            self._note(inbox, None if _is_out_of_reach(error) else version, message)
            held = self._hold(inbox, message)
            if message != before or held:
                wrong = f"inbox {printable(inbox)}: jobs wait, its preset is wrong: {message}"
                logs.each_line(log, logging.WARNING, wrong)
            return message
        self._note(inbox, version, "", preset.priority)
        self.broken.pop(str(inbox), None)
        released = self._queue.intake.release(inbox) if str(inbox) in self._waiting(HELD) else 0
        self._reorder(inbox, preset.priority)
        if before is not None or released:
            log.info("inbox %s: the preset is right, %d held jobs go on", printable(inbox), released)
        if str(inbox) in self._waiting(SKIPPED):
            again = self._queue.intake.reconsider(inbox, lambda stored: not _same(preset, stored))
            if again:
                log.info(
                    "inbox %s: the preset is another one, %d skipped jobs are looked at again", printable(inbox), again
                )
        return None

    def _note(self, inbox: Path, version: Version, wrong: str, priority: int = 0) -> None:
        explanation = self._version(inbox / PRESET_ERROR_NAME) if wrong else None
        self._verdicts[inbox] = _Verdict(version, explanation, wrong, priority)

    def _hold(self, inbox: Path, message: str) -> int:
        return self._queue.intake.hold(inbox, message) if str(inbox) in self._waiting(QUEUED) else 0

    def _reorder(self, inbox: Path, priority: int) -> None:
        """Give those jobs the preset's priority that have another: it was edited, or they came from another inbox."""
        if self._priorities is None:
            self._priorities = self._queue.intake.priorities()
        if self._priorities.get(str(inbox), frozenset()) - {priority}:
            number = self._queue.intake.prioritise(inbox, priority)
            log.info("inbox %s: %d jobs have the priority %d now", printable(inbox), number, priority)

    def _waiting(self, state: str) -> frozenset[str]:
        """The inboxes with jobs in this state, asked once a scan and only if it matters."""
        if state not in self._inboxes_with:
            self._inboxes_with[state] = self._queue.intake.inboxes_with(state)
        return self._inboxes_with[state]

    def _version(self, path: Path) -> Version:
        return version_of(self._trees, path)


def version_of(trees: Trees, path: Path) -> Version:
    """What tells whether a file is another one than before, without reading it."""
    try:
        stat = trees.lstat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _is_out_of_reach(error: BaseException | None) -> bool:
    """Tell a file that could not be read, which may pass without a change of it, from one that says wrong things."""
    while error is not None:
        if isinstance(error, OSError):
            return True
        error = error.__cause__
    return False


def _same(preset: Preset, stored: str | None) -> bool:
    """Whether a job was skipped under this preset, for which its limit was fixed; nothing of it can be read: yes."""
    try:
        before = preset_from_json(stored or "")
    except BadConfig:
        return True
    now = preset if before.largest is None else preset.fixed(before.largest)
    return replace(before, priority=now.priority) == now  # which decides when, not what
