"""The order in which people count: ep2 before ep10."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePath

NaturalKey = tuple[list[list[str | int]], str]

_NUMBER = re.compile(r"([0-9]{1,300})")  # no name is longer


def natural_key(path: PurePath) -> NaturalKey:
    """Return what sorts paths folder by folder, numbers in names by their value and letters whatever their case."""
    parts = [_NUMBER.split(unicodedata.normalize("NFC", part).casefold()) for part in path.parts]
    # Text and digits take turns, so that like is only ever compared with like.
    return [[int(run) if place % 2 else run for place, run in enumerate(runs)] for runs in parts], str(path)
