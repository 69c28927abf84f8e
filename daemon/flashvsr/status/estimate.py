"""How long work takes on this machine, as far as its own measurements tell; else a guess, and called one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from flashvsr.jobs.rates import rate_for
from flashvsr.jobs.schema import Rate

Size = tuple[int, int]

# Pixels a second where nothing was measured: the 1.3B model on one H200 (tests/bench/results/thrift_h200.json), the
# nano model on one core (nano_cost_2cores.json). And how far off that may be elsewhere, as factors of the time.
GPU_PIXELS, CORE_PIXELS = 82e6, 1.16e6
_GPU_SPREAD, _CPU_SPREAD = (0.8, 8.0), (0.5, 2.0)
_MEASURED_SPREAD, _NEAR_SPREAD = (0.95, 1.05), (0.8, 1.3)

MEASURED, NEAR, GUESSED = "measured", "near", "guessed"

# Each with its short name, its length in seconds, and from how many on the next one is used.
_UNITS = (("second", "s", 1, 90), ("minute", "min", 60, 90), ("hour", "h", 3600, 48), ("day", "d", 86_400, None))


@dataclass(frozen=True)
class Estimate:
    """From `least` to `most` seconds. `basis`: MEASURED here, of another size (NEAR), or GUESSED."""

    least: float
    most: float
    basis: str

    def __add__(self, other: Estimate) -> Estimate:
        """Both, one after the other; as sure as the less sure one."""
        order = (MEASURED, NEAR, GUESSED)
        basis = max(self.basis, other.basis, key=order.index)
        return Estimate(self.least + other.least, self.most + other.most, basis)


def estimate(
    frames: int, size: Size, rates: Sequence[Rate], device: str | None, model: str | None, *, gpu: bool
) -> Estimate:
    """How long so many frames take that the model computes at `size` (width, height). `gpu`: whether one works."""
    found = rate_for(rates, size, device, model)
    if found is not None:
        spread = _NEAR_SPREAD if found.rough else _MEASURED_SPREAD
        return _spread(frames / found.frames_per_second, spread, NEAR if found.rough else MEASURED)
    pixels = GPU_PIXELS if gpu else CORE_PIXELS * len(os.sched_getaffinity(0))
    return _spread(frames * size[0] * size[1] / pixels, _GPU_SPREAD if gpu else _CPU_SPREAD, GUESSED)


def estimate_text(found: Estimate, *, short: bool = False) -> str:
    """For example "about 25 minutes", "20 to 35 minutes", "perhaps 10 to 40 minutes".

    `short`: "about 25 min", "20-35 min".
    """
    if found.basis == MEASURED:
        return f"about {span_text((found.least + found.most) / 2, short=short)}"
    perhaps = "perhaps " if found.basis == GUESSED else ""
    least, most = span_text(found.least, short=short), span_text(found.most, short=short)
    if least == most:
        return f"{perhaps or 'about '}{most}"
    number, _, unit = least.partition(" ")
    same = unit.removesuffix("s") == most.partition(" ")[2].removesuffix("s")
    if short and same:
        return f"{perhaps}{number}-{most}"
    return f"{perhaps}{number if same else least} to {most}"


def span_text(seconds: float, *, short: bool = False) -> str:
    """A length of time in one unit, as people say it: "40 seconds", "25 minutes", "3 hours", "2 days".

    `short`: "40 s", "25 min", "3 h", "2 d".
    """
    for unit, letters, length, enough in _UNITS:
        number = max(1, round(seconds / length))
        if enough is None or number < enough:
            name = letters if short else f"{unit}{'' if number == 1 else 's'}"
            return f"{_rounded(number)} {name}"
    raise AssertionError("the last unit has no end")


def _rounded(number: int) -> int:
    """Nobody knows it to the second: of more than 20 every fifth is enough."""
    return number if number <= 20 else 5 * round(number / 5)


def measured(seconds: float) -> Estimate:
    """Of what goes on as fast as it did until now."""
    return _spread(seconds, _MEASURED_SPREAD, MEASURED)


def _spread(seconds: float, spread: tuple[float, float], basis: str) -> Estimate:
    return Estimate(seconds * spread[0], seconds * spread[1], basis)
