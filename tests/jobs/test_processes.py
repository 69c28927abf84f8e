"""Real processes on one database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import pytest

from flashvsr.jobs.intake import Source
from flashvsr.jobs.owner import Owner, current_owner, owner_alive
from flashvsr.jobs.queue import Queue
from kits.paths import PROGRAMS

CLAIMER = PROGRAMS / "claimer.py"


def start_claimers(state: Path, count: int, how: str = "work") -> list[subprocess.Popen[str]]:
    """Processes that go for the jobs at the same moment, however long each took to get ready."""
    command = [sys.executable, str(CLAIMER), str(state), how]
    claimers = [
        subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(count)
    ]
    for claimer in claimers:
        assert claimer.stdout is not None
        assert claimer.stdout.readline() == "ready\n"
    for claimer in claimers:
        assert claimer.stdin is not None
        claimer.stdin.close()
        claimer.stdin = None
    return claimers


def claimed_by(claimers: list[subprocess.Popen[str]]) -> list[list[int]]:
    """The jobs that each of them had; all end well."""
    claimed = [[int(line) for line in claimer.communicate(timeout=60)[0].split()] for claimer in claimers]
    assert [claimer.returncode for claimer in claimers] == [0] * len(claimers)
    return claimed


def fill(state: Path, count: int) -> Queue:
    queue = Queue(state)
    queue.intake.add_many([Source("/in", f"/in/{n}.mp4", f"{n}.mp4", 1, n, 3, 4) for n in range(count)])
    return queue


@pytest.mark.slow
def test_every_job_is_claimed_exactly_once(tmp_path: Path) -> None:
    queue = fill(tmp_path, 200)
    claimed = claimed_by(start_claimers(tmp_path, 4))
    assert sorted(chain.from_iterable(claimed)) == list(range(1, 201))
    assert sum(bool(mine) for mine in claimed) > 1  # they did compete
    assert queue.jobs.counts()["done"] == 200
    assert all(job.attempts == 1 for job in queue.jobs.select())


@pytest.mark.slow
def test_a_claim_needs_no_transaction_to_be_the_only_one(tmp_path: Path) -> None:
    """All go for the same job at the same time, and nothing but the statement itself keeps them apart."""
    queue = fill(tmp_path, 60)
    used_up = set(range(10, 61, 10))
    with queue.store.writing():
        for number in used_up:
            queue.jobs.change(number, attempts=2)
    claimed = claimed_by(start_claimers(tmp_path, 4, "race"))
    assert sorted(chain.from_iterable(claimed)) == sorted(set(range(1, 61)) - used_up)
    assert sum(bool(mine) for mine in claimed) > 1
    ended = {job.id: (job.state, job.attempts) for job in queue.jobs.select()}
    assert ended == {n: ("failed", 2) if n in used_up else ("done", 1) for n in range(1, 61)}


@pytest.mark.slow
def test_jobs_that_kill_their_workers_end_failed(tmp_path: Path) -> None:
    queue = fill(tmp_path, 2)
    for attempt in (1, 2):
        ends = sorted(claimer.wait(60) for claimer in start_claimers(tmp_path, 3, "die"))
        assert ends == [-signal.SIGKILL, -signal.SIGKILL, 0]
        assert [job.attempts for job in queue.jobs.select()] == [attempt, attempt]  # counted before any work
        assert queue.claims.recover(lambda owner: not owner_alive(owner)) == [1, 2]
    assert claimed_by(start_claimers(tmp_path, 2, "die")) == [[], []]
    assert {(job.state, job.attempts, job.error) for job in queue.jobs.select()} == {
        ("failed", 2, "gave up after 2 attempts: worker ended unexpectedly")
    }
    assert sorted(queue.ledger.numbers()) == [1, 2]


def test_a_new_database_opened_by_many_at_once(tmp_path: Path) -> None:
    claimers = start_claimers(tmp_path / "new", 6)
    assert [claimer.wait(60) for claimer in claimers] == [0] * 6
    assert Queue(tmp_path / "new").jobs.counts()["queued"] == 0


def test_a_killed_owner_is_dead_even_before_it_is_reaped() -> None:
    child = subprocess.Popen([sys.executable, "-c", _TELL_OWNER], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    owner = Owner(*eval(child.stdout.readline()))
    assert owner.pid == child.pid
    assert owner_alive(owner)
    os.kill(child.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while owner_alive(owner) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not owner_alive(owner)  # a zombie now
    child.wait(10)
    assert not owner_alive(owner)


def test_a_recycled_process_number_is_another_owner() -> None:
    me = current_owner()
    assert owner_alive(me)
    assert not owner_alive(Owner(me.host, me.pid, "before-the-reboot"))
    assert owner_alive(Owner("another-host", me.pid, "another boot-7"))
    assert owner_alive(Owner("my-former-name", me.pid, me.start))
    assert not owner_alive(Owner("my-former-name", me.pid, me.start + "0"))


_TELL_OWNER = """
import time
from flashvsr.jobs.owner import current_owner
o = current_owner()
print((o.host, o.pid, o.start), flush=True)
time.sleep(60)
"""
