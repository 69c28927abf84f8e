"""Which of some names a person meant who mistyped one: slips of the keyboard only, nothing that merely looks alike."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SHORT, _LONG = 4, 8  # letters: below the one only two swapped neighbours are a slip, from the other on two slips are
_LEAST_PART = 3
_LONGEST = 40  # letters: no known name is as long, and no slip makes it so


def nearest(word: str, known: Iterable[str], prefix: str = "") -> str | None:
    """Return the known name that `word` is a slip of, None if there is none.

    Upper case and what separates words do not count; nor does a `prefix` that all names share. A word that is the
    beginning or the end of just one name of several words is that name.
    """
    if len(word) > _LONGEST:
        return None
    names = [name for name in known if name]
    wanted = folded(word.removeprefix(prefix))
    bare = {name: folded(name.removeprefix(prefix)) for name in names}
    for slips in range(_slips(wanted) + 1):
        for name in names:
            if _same_digits(wanted, bare[name]) and _distance(wanted, bare[name], slips) <= slips:
                return name
    parts = [name for name in names if len(wanted) >= _LEAST_PART and _is_part(wanted, name.removeprefix(prefix))]
    return parts[0] if len(parts) == 1 else None


def folded(word: str) -> str:
    """The word without case and without what separates words in names."""
    return re.sub(r"[\s_.-]", "", word).lower()


def _slips(word: str) -> int:
    return 1 if len(word) < _LONG else 2


def _same_digits(one: str, other: str) -> bool:
    """Another number is no slip: h263 and h264 are two things."""
    return sorted(filter(str.isdigit, one)) == sorted(filter(str.isdigit, other))


def _is_part(word: str, name: str) -> bool:
    words = name.lower().split("_")
    ends = ("".join(part) for cut in range(1, len(words)) for part in (words[:cut], words[cut:]))
    return word in ends


def _distance(one: str, other: str, limit: int) -> int:
    """Letters put in, left out, changed, or swapped with their neighbour; more than `limit` if it is more."""
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    # A swap of neighbours looks back two rows ("optimal string alignment").
    before: list[int] = []
    last = list(range(len(other) + 1))
    changes = 1 if min(len(one), len(other)) >= _SHORT else limit + 1
    for row, letter in enumerate(one, 1):
        current = [row]
        for column, wanted in enumerate(other, 1):
            same = letter == wanted
            cost = min(last[column] + changes, current[-1] + changes, last[column - 1] + (0 if same else changes))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == wanted:
                cost = min(cost, before[column - 2] + 1)
            current.append(cost)
        before, last = last, current
    return last[-1]
