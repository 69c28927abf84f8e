from __future__ import annotations

import time

import pytest

from flashvsr.status.problems import MOST, ProblemList


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def test_the_newest_come_first_and_know_since_when(clock: list[float]) -> None:
    known = ProblemList()
    known.update([("a", "old")])
    clock[0] += 60
    found = known.update([("a", "old, said in other words"), ("b", "new"), ("c", "new")])
    assert [(p.subject, p.text, p.since) for p in found] == [
        ("b", "new", 1060.0),
        ("c", "new", 1060.0),
        ("a", "old, said in other words", 1000.0),
    ]


def test_one_that_went_and_came_back_is_new(clock: list[float]) -> None:
    known = ProblemList()
    known.update([("a", "x"), ("a", "y")])
    clock[0] += 60
    known.update([("a", "x")])
    clock[0] += 60
    assert [p.since for p in known.update([("a", "x"), ("a", "y")])] == [1120.0, 1000.0]


def test_a_flood_is_cut_and_what_is_left_out_is_counted(clock: list[float]) -> None:
    known = ProblemList()
    assert len(known.update([("a", str(number)) for number in range(MOST)])) == MOST
    clock[0] += 60
    found = known.update([("a", str(number)) for number in range(MOST + 5)])
    assert len(found) == MOST
    assert found[0].since == 1060.0
    assert str(found[-1]) == "6 more problems are not listed"
