"""Which jobs a sweep sees to, when, and what it does with those that have to wait. All others are played."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flashvsr.jobs.schema import CANCELLED, DONE, FAILED, HELD, QUEUED, RUNNING, SUPERSEDED, Job
from flashvsr.system import logs
from flashvsr.worker import sweep as module
from flashvsr.worker.faults import Outcome, Verdict
from flashvsr.worker.sweep import Sweep

NOW = 1_700_000_000.0


class Played:
    """A sweep with a queue, an end and a settling that only note what they are asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = 50_000.0
        self.jobs: dict[int, Job] = {}
        self.left: set[int] = set()
        self.done: list[Any] = []
        self.alone = True
        self.ends = True  # whether a conclusion, or a settling, gets through
        self.partial: Path | None = None
        self.moved = ""
        monkeypatch.setattr(module, "left_behind", lambda config: self.left)
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.clock, time=lambda: NOW))
        history = SimpleNamespace(
            unsettled=lambda: [job for job in self.jobs.values() if job.state == DONE and job.settled is None],
            add_partial=lambda job_id, partial: self.done.append(("partial", job_id, partial)),
        )
        queue: Any = SimpleNamespace(jobs=SimpleNamespace(get=self.jobs.get), history=history)
        me: Any = self
        self.sweep = Sweep(queue, lambda: me, me, me, me)

    def add(self, number: int, state: str, **values: Any) -> Job:
        self.jobs[number] = Job(id=number, state=state, source="old", **values)
        return self.jobs[number]

    @contextmanager
    def _marker(self, job_id: int) -> Iterator[bool]:
        self.done.append(("marker", job_id))
        yield self.alone

    def marker(self, job_id: int) -> Any:
        return SimpleNamespace(alone=lambda: self._marker(job_id))

    def present(self, job: Job) -> Job:
        job.source = self.moved or job.source
        return job

    def clear(self, job: Job) -> None:
        self.done.append(("clear", job.id, job.source))

    def conclude(self, job: Job, verdict: Verdict, record: Callable[[Path | None], None]) -> bool:
        self.done.append(("conclude", job.id, job.source, verdict.outcome, verdict.message, logs._current_job))
        record(self.partial)
        return self.ends

    def settle(self, job_id: int) -> bool:
        self.done.append(("settle", job_id, logs._current_job))
        return self.ends

    def after(self, seconds: float) -> list[Any]:
        """Let this long pass, and another worker's turn come; what was done, without the markers."""
        self.clock += seconds
        self.done.clear()
        self.sweep.step()
        return [what for what in self.done if what[0] != "marker"]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    return Played(monkeypatch)


@pytest.mark.parametrize("state", [QUEUED, RUNNING, HELD, None])
def test_what_is_not_over_is_left_alone(played: Played, state: str | None) -> None:
    if state is not None:
        played.add(3, state, error="an error of before")
    played.left = {3}
    assert played.after(0) == []


def test_what_another_worker_puts_in_order_is_left_to_it(played: Played) -> None:
    played.add(3, FAILED, error="why")
    played.left, played.alone = {3}, False
    assert played.after(0) == []
    assert played.done == [("marker", 3)]


@pytest.mark.parametrize(
    ("state", "values"),
    [(DONE, {}), (FAILED, {"result": "/out/a_partial.mp4"}), (CANCELLED, {"error": SUPERSEDED})],
)
def test_what_has_all_it_gets_is_cleared_away_under_its_present_name(
    played: Played, state: str, values: dict[str, str]
) -> None:
    played.add(3, state, settled=NOW, **values)
    played.left, played.moved = {3}, "new"
    assert played.after(0) == [("clear", 3, "new")]


@pytest.mark.parametrize(
    ("state", "error", "outcome", "message"),
    [
        (FAILED, "why", Outcome.FAIL, "why"),
        (CANCELLED, "cancelled", Outcome.CANCEL, "cancelled"),
        (CANCELLED, None, Outcome.CANCEL, "cancelled"),
    ],
)
@pytest.mark.parametrize("partial", [None, Path("/out/a_partial.mp4")])
def test_what_was_cut_short_is_ended_as_it_was_decided(
    played: Played, state: str, error: str | None, outcome: Outcome, message: str, partial: Path | None
) -> None:
    played.add(3, state, error=error)
    played.left, played.moved, played.partial = {3}, "new", partial
    told = [("partial", 3, partial)] if partial else []
    assert played.after(0) == [("conclude", 3, "new", outcome, message, 3), *told]


def test_all_that_was_left_is_seen_to_in_order(played: Played) -> None:
    for number in (30, 4, 5):
        played.add(number, FAILED, error="why")
    played.left = {30, 4, 5}
    assert [what[1] for what in played.after(0)] == [4, 5, 30]


def test_sweeps_come_now_and_then(played: Played) -> None:
    played.add(3, FAILED, error="why")
    played.left = {3}
    assert len(played.after(0)) == 1
    assert played.after(module.SWEEP_SECONDS - 0.1) == []
    assert len(played.after(0.2)) == 1
    assert 5 <= module.SWEEP_SECONDS <= 60, "somebody waits for what it does"


def times(played: Played, what: Callable[[], list[Any]]) -> list[float]:
    """Seconds between the tries of something, within two hours, looked for at every sweep."""
    found, last = [], played.clock
    for _ in range(720):
        if what():
            found.append(played.clock - last)
            last = played.clock
    return [round(between, -1) for between in found]


@pytest.mark.parametrize("state", [FAILED, DONE])
def test_what_has_to_wait_is_tried_less_and_less_often(played: Played, state: str) -> None:
    played.add(3, state, error="why", finished=NOW - 3600)
    played.left = {3} if state == FAILED else set()
    played.ends = False
    seconds = times(played, lambda: played.after(10))
    assert seconds[1:8] == [10, 20, 40, 80, 160, 320, 600]
    assert set(seconds[8:]) == {600}


def test_one_that_waits_keeps_no_other_waiting(played: Played) -> None:
    played.add(3, FAILED, error="why")
    played.left, played.ends = {3}, False
    for _ in range(9):
        played.after(600)
    played.add(4, FAILED, error="why")
    played.left.add(4)
    assert [what[1] for what in played.after(10)] == [4]


def test_a_source_that_could_be_settled_after_all_begins_anew(played: Played) -> None:
    played.add(3, DONE, finished=NOW - 3600)
    played.ends = False
    for _ in range(5):
        played.sweep.settle_or_postpone(3)
    played.ends = True
    played.sweep.settle_or_postpone(3)
    assert played.after(0) == [("settle", 3, 3)], "it does not wait any more"
    played.ends = False
    played.after(10)
    assert played.after(10) == [("settle", 3, 3)], "and waits briefly again"


@pytest.mark.parametrize(("ago", "settled"), [(61.0, True), (59.0, False), (-5.0, False), (None, False)])
def test_a_source_is_left_to_the_worker_that_finished_its_job_for_a_minute(
    played: Played, ago: float | None, settled: bool
) -> None:
    played.add(3, DONE, finished=None if ago is None else NOW - ago)
    assert (played.after(0) == [("settle", 3, 3)]) == settled
