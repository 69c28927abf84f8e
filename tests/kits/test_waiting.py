"""The tests' own waiting: it ends where nothing moves, and where something moves for ever."""

from __future__ import annotations

import itertools

import pytest

from kits.waiting import wait_while_it_gets_on


def test_it_waits_longer_than_it_would_for_something_still() -> None:
    calls = itertools.count()
    done = wait_while_it_gets_on(lambda: next(calls) > 20, lambda: next(calls), "20 calls", pause=0.01, still=0.02)
    assert done is True


def test_what_stands_still_is_not_waited_for() -> None:
    with pytest.raises(AssertionError, match="nothing got on for 0 s: a wonder"):
        wait_while_it_gets_on(lambda: None, lambda: 7, "a wonder", pause=0.01, still=0.02)


def test_nor_what_moves_for_ever() -> None:
    calls = itertools.count()
    with pytest.raises(AssertionError, match="not within 0 s, though it got on: a wonder"):
        wait_while_it_gets_on(lambda: None, lambda: next(calls), "a wonder", pause=0.01, still=0.02, longest=0.1)
