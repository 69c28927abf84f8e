"""What an error means for the job: try again, when, at whose expense, or give up."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from flashvsr.errors import (
    BadConfig,
    BadInput,
    Cancelled,
    Crashed,
    Interrupted,
    LeaseLost,
    NoSpace,
    Skipped,
    SourceRenamed,
    Transient,
)
from flashvsr.files.advice import ENVIRONMENT, failure
from flashvsr.files.mounts import ShareAway
from flashvsr.jobs.schema import Job
from flashvsr.outbox.writable import OutboxClosed
from flashvsr.system.text import storable
from flashvsr.worker.source import SourceChanged, SourceGone

CONFIG_SECONDS = 60.0
FIRST_SECONDS, LONGEST_SECONDS = 10.0, 600.0
ROOM_SECONDS = 60.0  # somebody who makes room waits for what happens
YOUNG_SECONDS = 60.0

# Words of the CUDA runtime for a GPU that is not there any more, as opposed to a kernel that went wrong.
_GPU_GONE = (
    "no cuda-capable device",
    "unavailable",
    "is lost",
    "fallen off",
    "uncorrectable",
    "initialization error",
)


class Outcome(Enum):
    """What becomes of the job."""

    REQUEUE = "requeue"
    FAIL = "fail"
    CANCEL = "cancel"
    SKIP = "skip"  # there is nothing to do
    DROP = "drop"  # it is another worker's, leave everything as it is


@dataclass(frozen=True)
class Verdict:
    """What to do. `kind`: of the error, as the queue keeps it in `error_kind`. `counted` is whether the attempt stays
    counted; `grows`: the next delay is longer;
    `broken`: this process cannot go on working; `unexpected`: worth a traceback in the log.
    """

    outcome: Outcome
    message: str
    kind: str = "transient"
    delay: float = 0.0
    counted: bool = False
    grows: bool = False
    broken: bool = False
    unexpected: bool = False


def judge(error: Exception, job: Job, *, settle_seconds: float, max_attempts: int, failures: int) -> Verdict:
    """Decide what `error` means for `job`; `failures` counts its transient failures before this one."""
    if isinstance(error, OSError) and error.errno in ENVIRONMENT:
        error = failure("use", Path(error.filename if isinstance(error.filename, str) else job.source), error)
    text = storable(str(error)) or type(error).__name__
    if isinstance(error, LeaseLost):
        return Verdict(Outcome.DROP, text)
    if isinstance(error, Cancelled):
        return Verdict(Outcome.CANCEL, text)
    if isinstance(error, Skipped):
        return Verdict(Outcome.SKIP, text)
    if isinstance(error, Interrupted | SourceRenamed):
        return Verdict(Outcome.REQUEUE, text)
    if isinstance(error, SourceChanged):
        # Not ended here: when the watcher queues the new version, the queue ends this job as replaced.
        # Looked for less and less often: perhaps it never comes.
        return Verdict(Outcome.REQUEUE, text, delay=max(backoff(failures), 2 * settle_seconds), grows=True)
    if isinstance(error, BadInput):
        if not isinstance(error, SourceGone) and _still_arriving(job, settle_seconds):
            waiting = f"not a readable video yet, perhaps it is still being copied: {text}"
            return Verdict(Outcome.REQUEUE, waiting, delay=max(1.0, settle_seconds))
        return Verdict(Outcome.FAIL, text, f"bad_input.{error.fault}" if error.fault else "bad_input")
    if isinstance(error, BadConfig):
        return Verdict(Outcome.REQUEUE, text, "config", delay=CONFIG_SECONDS)
    if isinstance(error, ShareAway):
        return Verdict(Outcome.REQUEUE, text, delay=FIRST_SECONDS)  # costs nothing to ask again, and may end any time
    if isinstance(error, NoSpace | OutboxClosed):
        kind = "space" if isinstance(error, NoSpace) else "transient"
        return Verdict(Outcome.REQUEUE, text, kind, delay=min(ROOM_SECONDS, backoff(failures)), grows=True)
    if isinstance(error, Crashed):
        return _counted(text, "crash", job, max_attempts)
    if isinstance(error, Transient | MemoryError) or out_of_gpu_memory(error):
        return Verdict(Outcome.REQUEUE, text, delay=backoff(failures), grows=True)
    if _gpu_gone(error):
        message = f"the GPU does not answer: {_first_line(text)}"
        return Verdict(Outcome.REQUEUE, message, delay=backoff(failures), grows=True, broken=True, unexpected=True)
    return _internal(error, text, job, max_attempts)


def backoff(failures: int) -> float:
    """Seconds to wait after `failures` earlier ones in a row: doubled each time."""
    return float(min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(failures, 10)))


def _internal(error: Exception, text: str, job: Job, max_attempts: int) -> Verdict:
    message = f"unexpected error, the log has the details: {type(error).__name__}: {_first_line(text)}"
    # After an error inside a CUDA kernel every further call of this process fails.
    broken = "CUDA error" in text or type(error).__name__ == "AcceleratorError"
    return replace(_counted(message, "internal", job, max_attempts), broken=broken, unexpected=True)


def _counted(message: str, kind: str, job: Job, max_attempts: int) -> Verdict:
    """It costs the attempt; after the last one it is over."""
    outcome = Outcome.REQUEUE if job.attempts < max_attempts else Outcome.FAIL
    return Verdict(outcome, message, kind, backoff(max(0, job.attempts - 1)), counted=True)


def _still_arriving(job: Job, settle_seconds: float) -> bool:
    """Whether the file is young. One from the far future (a wrong clock) is not, or it would stay young."""
    age = time.time() - job.mtime_ns / 1e9
    return abs(age) < max(YOUNG_SECONDS, 10 * settle_seconds)


def out_of_gpu_memory(error: BaseException) -> bool:
    """Whether it is torch's out-of-memory error, or what that was turned into.

    Recognised by name: the fakes of tests need no torch.
    """
    if any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True
    return error.__context__ is not None and out_of_gpu_memory(error.__context__)


def _gpu_gone(error: Exception) -> bool:
    text = str(error).lower()
    return "cuda" in text and any(words in text for words in _GPU_GONE)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else text
