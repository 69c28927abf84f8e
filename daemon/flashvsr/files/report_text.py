"""A job's report as JSON for the queue, and as TOML for the file beside a result and for `flashvsr status ID`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import tomli_w

from flashvsr.system.text import NAME, PRINTED_LINE, visible

MOST_ITEMS = 100  # of a list in a report, and entries of a table
LONGEST = 100_000  # characters of a report as JSON
_NOTE = "note"


def report_toml(report: Mapping[str, Any]) -> str:
    """Write a report (as its JSON holds it) as TOML; what is not known is left out, TOML has no null."""
    return tomli_w.dumps(_known(bounded_report(report)), multiline_strings=False)


def bounded_report(report: Any) -> Any:
    """Return a report (as its JSON holds it) with visible texts, of bounded number and length; a note for one too long.

    The longest path there is stays whole.
    """
    for longest in (PRINTED_LINE, NAME):
        bounded = _bounded(report, longest)
        if len(json.dumps(bounded)) <= LONGEST:
            return bounded
    return {_NOTE: "the report of this job was too long to be kept"}


def bounded_json(report: str) -> str:
    """Do the same with JSON; a note also for what cannot be read."""
    try:
        return json.dumps(bounded_report(json.loads(report)))
    except (ValueError, RecursionError):
        return json.dumps({_NOTE: "the report of this job could not be read"})


def _bounded(value: Any, longest: int) -> Any:
    if isinstance(value, Mapping):
        items = list(value.items())[:MOST_ITEMS]
        return {visible(str(key), NAME): _bounded(item, longest) for key, item in items} | _rest(value)
    if isinstance(value, list | tuple):
        rest = _rest(value)
        shown = [_bounded(item, longest) for item in value[: MOST_ITEMS - bool(rest)]]
        return shown if not rest else [*shown, rest if isinstance(value[0], Mapping) else rest[_NOTE]]
    return visible(value, longest) if isinstance(value, str) else value


def _rest(value: Any) -> dict[str, str]:
    left = len(value) - MOST_ITEMS
    if left <= 0:
        return {}
    return {_NOTE: f"and {left + isinstance(value, list | tuple)} more"}


def _known(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _known(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_known(item) for item in value if item is not None]
    return value
