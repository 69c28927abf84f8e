"""A job's report as JSON for the queue, and as TOML for the file beside a result and for `flashvsr status ID`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import tomli_w

from flashvsr.text import LINE, NAME, visible

MOST_ITEMS = 100  # of a list in a report, and entries of a table
LONGEST = 64_000  # characters of a report as JSON
_NOTE = "note"


def report_toml(report: Mapping[str, Any]) -> str:
    """Write a report (as its JSON holds it) as TOML; what is not known is left out, TOML has no null."""
    return tomli_w.dumps(_known(bounded_facts(report)), multiline_strings=False)


def bounded_facts(value: Any) -> Any:
    """Return facts of a report with visible texts of bounded length, and a bounded number of them."""
    if isinstance(value, Mapping):
        items = list(value.items())[:MOST_ITEMS]
        return {visible(str(key), NAME): bounded_facts(item) for key, item in items} | _rest(value)
    if isinstance(value, list | tuple):
        rest = _rest(value)
        shown = [bounded_facts(item) for item in value[: MOST_ITEMS - bool(rest)]]
        return shown if not rest else [*shown, rest if isinstance(value[0], Mapping) else rest[_NOTE]]
    return visible(value, LINE) if isinstance(value, str) else value


def bounded_json(report: str) -> str:
    """Return a report's JSON with bounded facts; a note instead of one that cannot be read, or is still too long."""
    try:
        text = json.dumps(bounded_facts(json.loads(report)))
    except (ValueError, RecursionError):
        return json.dumps({_NOTE: "the report of this job could not be read"})
    return text if len(text) <= LONGEST else json.dumps({_NOTE: f"a report of {len(report)} characters is not kept"})


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
