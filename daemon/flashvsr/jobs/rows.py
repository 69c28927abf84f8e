"""Rows of jobs that come from outside the database: whether each value is what its column holds."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any

from flashvsr.jobs.schema import STATES, Job

LARGEST_NUMBER = 1 << 53  # of a job; far below what SQLite can count to, and far above what any queue gives out


def wrong_value(row: Mapping[str, Any]) -> str | None:
    """Say what is wrong with the values of a job; None if all can be stored. Unknown keys do not matter."""
    for field in Job._meta.sorted_fields:
        name = field.name
        value = row.get(name)
        if value is None:
            needed = name == "id" or not (field.null or field.default is not None)
            if needed or (name in row and not field.null):
                return f"it does not tell {name}"
        elif not _fits(field, value):
            return f"its {name} is of another kind"
    if not 1 <= row["id"] <= LARGEST_NUMBER:
        return f"{row['id']} is no job number"
    return None if row.get("state") in STATES else "its state is none that this version knows"


def _fits(field: Any, value: Any) -> bool:
    if field.default is list:
        return isinstance(value, list) and all(map(_is_text, value))
    return _KINDS[field.field_type](value)


def _is_path(value: Any) -> bool:
    return _is_text(value, os.fsencode) and "\0" not in value


def _is_text(value: Any, encode: Callable[[str], bytes] = str.encode) -> bool:
    try:
        return isinstance(value, str) and bool(encode(value) or True)
    except UnicodeEncodeError:
        return False


def _is_whole(value: Any, low: int = -(1 << 63), high: int = (1 << 63) - 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


_KINDS: dict[str, Callable[[Any], bool]] = {
    "AUTO": _is_whole,
    "BLOB": _is_path,
    "BOOL": lambda value: isinstance(value, bool),
    "FLOAT": _is_number,
    "INT": _is_whole,
    "INTEGER": lambda value: _is_whole(value, 0, (1 << 64) - 1),  # unsigned: a device, an inode
    "TEXT": _is_text,
}
