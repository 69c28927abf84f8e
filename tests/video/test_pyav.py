"""Numbers and tags as PyAV 18 and PyAV 19 give them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest

from flashvsr.video.pyav import fraction, tags


@dataclass(frozen=True)
class Ratio:
    """As PyAV 19's: with a 0 above or below it is no number, and false."""

    numerator: int
    denominator: int

    def __bool__(self) -> bool:
        return self.numerator != 0 and self.denominator != 0


@pytest.mark.parametrize("value", [None, Fraction(0), Ratio(0, 1), Ratio(1, 0), Ratio(0, 0)])
def test_what_is_not_set(value: Ratio | Fraction | None) -> None:
    assert fraction(value) is None


@pytest.mark.parametrize("value", [Fraction(30000, 1001), Ratio(30000, 1001)])
def test_what_is_set(value: Ratio | Fraction) -> None:
    found = fraction(value)
    assert type(found) is Fraction
    assert found == Fraction(30000, 1001)


def test_bytes_that_are_no_text() -> None:
    assert tags({"title": "Caf\udce9", "na\udcefve": "ok"}) == {"title": "Caf\ufffd", "na\ufffdve": "ok"}
    assert tags({"title": "Café"}) == {"title": "Café"}
