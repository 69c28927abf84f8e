"""A job's report as TOML, for the file beside a result and for `flashvsr status ID`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomli_w


def report_toml(report: Mapping[str, Any]) -> str:
    """Write a report (as its JSON holds it) as TOML; what is not known is left out, TOML has no null."""
    return tomli_w.dumps(_known(report), multiline_strings=False)


def _known(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _known(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_known(item) for item in value if item is not None]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()  # a name with bytes that are no UTF-8
    return value
