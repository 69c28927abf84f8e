"""Trouble that comes and goes is told once."""

from __future__ import annotations

from flashvsr.notify.steady import Steady


def changes(steady: Steady, seen: str) -> list[tuple[int, bool]]:
    """One letter a second, `x` where it is seen: the seconds at which it changed, and to what."""
    return [(second, steady.holds) for second, letter in enumerate(seen) if steady.update(letter == "x", float(second))]


def test_what_is_short_does_not_count() -> None:
    assert changes(Steady(3, 5), "xx" + "." * 10) == []


def test_what_lasts_counts_once() -> None:
    assert changes(Steady(3, 5), "xxxxxxxxxx") == [(3, True)]


def test_what_flaps_counts_once() -> None:
    assert changes(Steady(3, 5), "xx.xx.xx.xx.xx..xx...xx....xx") == [(3, True)]


def test_it_ends_when_it_is_gone_for_long() -> None:
    assert changes(Steady(3, 5), "xxxx" + "." * 7 + "xxxx") == [(3, True), (9, False), (14, True)]


def test_what_held_before_a_restart_holds_still() -> None:
    assert changes(Steady(3, 5, holds=True), "xxxxxxxx") == []


def test_without_patience_it_ends_at_once() -> None:
    assert changes(Steady(2, 0), "xxx.xx.xxx") == [(2, True), (3, False), (9, True)]
