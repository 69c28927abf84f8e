"""What PyAV 18 and 19 say in two ways, brought into one."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Protocol

import av

# PyAV 18 decodes tags as it is told to. From 19 on, bytes that are no UTF-8 always arrive as surrogates.
SOURCE_TEXT: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}


class _Ratio(Protocol):
    @property
    def numerator(self) -> int: ...

    @property
    def denominator(self) -> int: ...


def fraction(value: _Ratio | None) -> Fraction | None:
    """A rate, time base or aspect; None where there is none, for which PyAV 19 has ratios with a 0 above or below."""
    return Fraction(value.numerator, value.denominator) if value else None


def tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """The tags of a container, stream or chapter as text for logs, the queue and other files: no surrogates."""
    return {_text(key): _text(value) for key, value in metadata.items()}


def _text(found: str) -> str:
    return found.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
