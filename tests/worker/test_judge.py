"""What an error means for the job, one by one."""

from __future__ import annotations

import errno
import time
from dataclasses import replace

import pytest

from flashvsr.errors import (
    BadConfig,
    BadInput,
    Cancelled,
    Crashed,
    Interrupted,
    LeaseLost,
    NoSpace,
    SourceRenamed,
    Transient,
)
from flashvsr.files.mounts import ShareAway
from flashvsr.jobs.schema import Job
from flashvsr.outbox.writable import OutboxClosed
from flashvsr.worker.faults import Outcome, Verdict, backoff, judge
from flashvsr.worker.source import InboxGone, SourceChanged, SourceGone


def judged(
    error: Exception, *, age: float = 1e6, attempts: int = 1, settle: float = 1.0, most: int = 3, failures: int = 2
) -> Verdict:
    mtime_ns = int((time.time() - age) * 1e9)
    job = Job(id=1, source="/in/clips/a.mov", mtime_ns=mtime_ns, attempts=attempts)
    return judge(error, job, settle_seconds=settle, max_attempts=most, failures=failures)


class OutOfMemoryError(RuntimeError):
    """Named like torch's."""


class OutOfMemoryOnOneCard(OutOfMemoryError):
    pass


class AcceleratorError(RuntimeError):
    """Named like torch's."""


def turned_into(new: Exception, first: Exception) -> Exception:
    try:
        try:
            raise first
        except type(first):
            raise new from None  # no cause, but it came over it
    except type(new) as error:
        return error


WAITS = Verdict(Outcome.REQUEUE, "why", delay=40.0, grows=True)
COUNTED = Verdict(Outcome.REQUEUE, "why", delay=10.0, counted=True)
INTERNAL = replace(COUNTED, kind="internal", unexpected=True)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (LeaseLost("why"), Verdict(Outcome.DROP, "why")),
        (Cancelled("why"), Verdict(Outcome.CANCEL, "why")),
        (Interrupted("why"), Verdict(Outcome.REQUEUE, "why")),
        (SourceRenamed("why"), Verdict(Outcome.REQUEUE, "why")),
        (SourceChanged("why"), WAITS),
        (BadInput("why"), Verdict(Outcome.FAIL, "why", "bad_input")),
        (BadConfig("why"), Verdict(Outcome.REQUEUE, "why", "config", delay=60.0)),
        (ShareAway("why"), Verdict(Outcome.REQUEUE, "why", delay=10.0)),
        (NoSpace("why"), replace(WAITS, kind="space")),
        (OutboxClosed("why"), WAITS),
        (Transient("why"), WAITS),
        (InboxGone("why"), WAITS),
        (MemoryError("why"), WAITS),
        (OutOfMemoryError("why"), WAITS),
        (OutOfMemoryOnOneCard("why"), WAITS),
        (turned_into(RuntimeError("why"), OutOfMemoryError("CUDA out of memory")), WAITS),
        (Crashed("why"), replace(COUNTED, kind="crash")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_each_kind_of_error(error: Exception, verdict: Verdict) -> None:
    assert judged(error) == verdict


@pytest.mark.parametrize(
    ("error", "broken"),
    [
        (ValueError("shapes differ\nin the second line"), False),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), True),
        (AcceleratorError("an illegal memory access"), True),
        (RuntimeError("the decoder is lost: initialization error"), False),
        (OSError(errno.ENOENT, "No such file or directory", "/in/a"), False),
    ],
    ids=["any", "kernel", "by its name", "no GPU", "no disk"],
)
def test_what_nobody_expected_costs_the_attempt_and_perhaps_the_process(error: Exception, broken: bool) -> None:
    first = f"unexpected error, the log has the details: {type(error).__name__}: {str(error).splitlines()[0]}"
    assert judged(error) == replace(INTERNAL, message=first, broken=broken)


@pytest.mark.parametrize(
    "text",
    [
        "no CUDA-capable device is detected",
        "CUDA error: CUDA-capable device(s) is/are busy or unavailable",
        "CUDA driver: the GPU is lost",
        "CUDA error: the GPU has fallen off the bus",
        "CUDA error: uncorrectable ECC error encountered",
        "CUDA error: Initialization error",
    ],
)
def test_a_gpu_that_is_gone_costs_the_process_and_no_attempt(text: str) -> None:
    message = f"the GPU does not answer: {text}"
    assert judged(RuntimeError(f"{text}\nmore of it")) == replace(WAITS, message=message, broken=True, unexpected=True)


@pytest.mark.parametrize("error", [Crashed("why"), ValueError("why")])
def test_the_last_attempt_is_the_last(error: Exception) -> None:
    verdicts = [judged(error, attempts=number, most=3) for number in (0, 1, 2, 3, 4)]
    assert [verdict.outcome for verdict in verdicts] == [Outcome.REQUEUE] * 3 + [Outcome.FAIL] * 2
    assert [verdict.delay for verdict in verdicts[:3]] == [10, 10, 20]
    assert all(verdict.counted for verdict in verdicts)


@pytest.mark.parametrize(
    ("age", "settle", "young"),
    [(55, 1, True), (65, 1, False), (-55, 1, True), (-65, 1, False), (290, 30, True), (310, 30, False)],
)
def test_how_long_a_file_is_young(age: float, settle: float, young: bool) -> None:
    verdict = judged(BadInput("no video"), age=age, settle=settle)
    assert (verdict.outcome is Outcome.REQUEUE) == young
    assert judged(SourceGone("the file is gone"), age=age, settle=settle).outcome is Outcome.FAIL


def test_a_young_file_is_looked_at_again_once_it_may_have_settled() -> None:
    assert [judged(BadInput("no video"), age=0, settle=settle).delay for settle in (0.2, 1, 5)] == [1, 1, 5]
    verdict = judged(BadInput("no video"), age=0)
    assert (verdict.kind, verdict.counted, verdict.grows) == ("transient", False, False)


def test_a_new_version_is_waited_for_as_long_as_it_takes_to_settle_at_least() -> None:
    assert judged(SourceChanged("why"), settle=100, failures=0).delay == 200
    assert judged(SourceChanged("why"), settle=1, failures=0).delay == 10


def test_waiting_grows_to_a_limit() -> None:
    assert [backoff(failures) for failures in (0, 1, 5, 6, 10_000)] == [10, 20, 320, 600, 600]
    assert [judged(NoSpace("why"), failures=failures).delay for failures in (0, 2, 3, 9)] == [10, 40, 60, 60]
    assert judged(ShareAway("why"), failures=9).delay == 10


@pytest.mark.parametrize(
    ("filename", "named"), [("/out/x.part", "/out/x.part"), (None, "/in/clips/a.mov"), (3, "/in/clips/a.mov")]
)
def test_an_error_of_a_disk_names_a_file(filename: str | int | None, named: str) -> None:
    full = judged(OSError(errno.ENOSPC, "No space left on device", filename), failures=9)
    assert full.message.startswith(f"cannot use {named}: No space left on device")
    assert (full.outcome, full.delay, full.counted) == (Outcome.REQUEUE, 60, False)
    assert judged(OSError(errno.EIO, "Input/output error", filename)).kind == "transient"


@pytest.mark.parametrize("error", [MemoryError(), Transient(), BadInput("")])
def test_an_error_without_words_is_named(error: Exception) -> None:
    assert judged(error).message == type(error).__name__


def test_a_message_can_be_shown() -> None:
    assert "\x1b" not in judged(BadInput("name\x1b[2J")).message
