r"""Paths that are no UTF-8 in TOML, which holds nothing else: `{escaped = 'caf\xe9'}`, as messages show them."""

from __future__ import annotations

from collections.abc import Mapping

from flashvsr.system.text import from_printable, printable

_KEY = "escaped"


def written(text: str) -> str | dict[str, str]:
    """Return what stands for a text in TOML: itself, where it can."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return {_KEY: printable(text)}
    return text


def read(value: object) -> object:
    """Return the text that an escaped one stands for, any other value as it is. Raises ValueError for wrong escapes."""
    if isinstance(value, Mapping) and list(value) == [_KEY] and isinstance(escaped := value[_KEY], str):
        return from_printable(escaped)
    return value
