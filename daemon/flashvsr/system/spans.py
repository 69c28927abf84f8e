"""Lengths of time in words."""

from __future__ import annotations


def length_text(seconds: float) -> str:
    """How long something took, in two units at most: "8.3 s", "3 min 20 s", "2 h 5 min", "3 d 4 h"."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _in_two(whole, 60, "min", "s")
    if whole < 86_400:
        return _in_two(round(whole / 60), 60, "h", "min")
    return _in_two(round(whole / 3600), 24, "d", "h")


def _in_two(number: int, of_one: int, unit: str, smaller: str) -> str:
    large, rest = divmod(number, of_one)
    return f"{large} {unit} {rest} {smaller}" if rest else f"{large} {unit}"
