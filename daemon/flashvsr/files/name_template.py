"""A template for the name of a file, such as "{stem} {width}x{height}": its fields, and the name that it makes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from flashvsr.files.names import NAME_BYTES

FIELDS = ("stem", "width", "height", "scale", "model", "preset")
FIELD = re.compile(r"\{([^{}]*)\}")
FORBIDDEN = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')  # a path, or what Windows takes in no name
HIDDEN = (".", "~", " ")  # names that begin so are not seen, or taken for another program's
_LONGEST_VALUE = 60  # characters of a model's or a folder's name


def filled(template: str, stem: str, values: Mapping[str, object], tail: str) -> str:
    """Return the name that a template makes, with `tail` behind it.

    `stem` is a name that a file has already, and stays as it is; of all other values what no name may have becomes "_".
    A name that would get too long loses the end of its stem.
    """
    safe = {name: _safe(value) for name, value in values.items()}

    def made(stem: str) -> str:
        return FIELD.sub(lambda piece: stem if piece[1] == "stem" else safe[piece[1]], template) + tail

    while stem and len(os.fsencode(made(stem))) > NAME_BYTES:
        stem = stem[:-1]
    name = made(stem)
    return f"_{name}" if name.startswith(HIDDEN) else name


def _safe(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "".join("_" if FORBIDDEN.match(one) or not one.isprintable() else one for one in text)[:_LONGEST_VALUE]
