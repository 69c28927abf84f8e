"""What PyAV 18 and 19 say in two ways, brought into one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Protocol

import av

from flashvsr.system.text import bounded

# PyAV 18 decodes tags as it is told to. From 19 on, bytes that are no UTF-8 always arrive as surrogates.
SOURCE_TEXT: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}


LONGEST_TAG = 10_000  # characters: the longest descriptions that platforms take are half of it
LONGEST_TITLE = 1_000  # of a track, a chapter; players show a line
MOST_TAGS = 200


class _Ratio(Protocol):
    @property
    def numerator(self) -> int: ...

    @property
    def denominator(self) -> int: ...


def fraction(value: _Ratio | None) -> Fraction | None:
    """A rate, time base or aspect; None where there is none, for which PyAV 19 has ratios with a 0 above or below."""
    return Fraction(value.numerator, value.denominator) if value else None


def tags(metadata: Mapping[str, str], most: int = LONGEST_TAG) -> dict[str, str]:
    """The tags of a container, stream or chapter as text for a result: no surrogates, and a bounded length of each.

    What people read of them goes through `flashvsr.system.text.visible`: a tag may hold any character.
    """
    return {_text(key, most): _text(value, most) for key, value in itertools.islice(metadata.items(), MOST_TAGS)}


def _text(found: str, most: int) -> str:
    return bounded(found.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), most)
