"""Messages for people, made of notices: what happened, to which file, what to do. Many of a kind are summed up."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence

from flashvsr.jobs.notices import HELD, QUEUE_EMPTY, TROUBLE, empty_counts
from flashvsr.jobs.schema import DONE, FAILED, SKIPPED, Notice
from flashvsr.system.text import sentence_of, visible

NAMED = 5  # of one kind; the others are counted
LONGEST_DETAIL, LONGEST_TITLE = 300, 250  # characters

_ORDER = (TROUBLE, FAILED, HELD, SKIPPED, DONE, QUEUE_EMPTY)


def message_of(notices: Sequence[Notice]) -> tuple[str, str]:
    """Return title and body of one message about all of these (at least one)."""
    by_kind = {kind: [notice for notice in notices if notice.kind == kind] for kind in _ORDER}
    titles = [_title(kind, found) for kind, found in by_kind.items() if found]
    paragraphs = [_paragraph(kind, found) for kind, found in by_kind.items() if found]
    title = visible(f"flashvsr on {socket.gethostname()}: {', '.join(titles)}", LONGEST_TITLE)
    return title, "\n\n".join(paragraphs)


def _title(kind: str, notices: Sequence[Notice]) -> str:
    number = sum(notice.number for notice in notices)
    if kind == QUEUE_EMPTY:
        return "nothing waits any more"
    if kind == TROUBLE:
        return "something needs a hand"
    return _count(number, kind)


def _count(number: int, kind: str) -> str:
    videos, are, have, were = (
        ("video", "is", "has", "was") if number == 1 else ("videos", "are", "have", "were")
    )  # fmt: skip
    ends = {
        DONE: f"{are} done",
        FAILED: f"{have} failed",
        SKIPPED: f"{were} left as {'it is' if number == 1 else 'they are'}",
        HELD: f"{'has' if number == 1 else 'have'} to wait",
    }
    return f"{number} {videos} {ends[kind]}"


def _paragraph(kind: str, notices: Sequence[Notice]) -> str:
    if kind == QUEUE_EMPTY:
        counts: Counter[str] = Counter()
        for notice in notices:
            counts.update(empty_counts(notice))
        said = ", ".join(_count(counts[state], state) for state in (DONE, FAILED, SKIPPED) if counts[state])
        return f"Nothing waits any more: {said}." if said else "Nothing waits any more."
    lines = [_LINES[kind](notice) for notice in notices[:NAMED]]
    left = sum(notice.number for notice in notices[NAMED:])
    if left:
        lines.append(f"And {left} more: `flashvsr status --all` lists them.")
    return "\n".join(lines)


def _detail(notice: Notice) -> str:
    """Its reason or place, without the full stop at its end."""
    return visible(sentence_of(notice.detail or ""), LONGEST_DETAIL).removesuffix(".")


def _failed(notice: Notice) -> str:
    return (
        f"{notice.subject} has failed: {_detail(notice) or 'no reason is known'}. `flashvsr status {notice.job}` tells "
        f"more; when that is mended, `flashvsr retry {notice.job}` tries it again."
    )


def _done(notice: Notice) -> str:
    place = _detail(notice)
    return f"{notice.subject} is done{f': {place}' if place else ''}"


def _skipped(notice: Notice) -> str:
    return (
        f"{notice.subject} was left as it is: {_detail(notice)}. `flashvsr retry --force {notice.job}` does it anyway."
    )


def _held(notice: Notice) -> str:
    return (
        f"{_count(notice.number, HELD)} in {notice.subject}: {_detail(notice)}. Mend preset.toml there; then it goes "
        "on by itself."
    )


def _trouble(notice: Notice) -> str:
    return f"{_detail(notice)}. `flashvsr status` shows everything that needs a hand."


_LINES = {FAILED: _failed, DONE: _done, SKIPPED: _skipped, HELD: _held, TROUBLE: _trouble}
