"""The life of a job: claimed once, kept alive by a lease, ended by the one who holds it."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peewee as pw

from flashvsr.errors import LeaseLost
from flashvsr.jobs.figures import count_frames
from flashvsr.jobs.owner import Owner
from flashvsr.jobs.schema import CANCELLED, DONE, FAILED, QUEUED, RUNNING, SKIPPED, SUPERSEDED, Job
from flashvsr.jobs.store import Store
from flashvsr.jobs.table import NOT_OWNED, ORDER, JobTable, no_result, partial_result

log = logging.getLogger(__name__)

CRASHED = "worker ended unexpectedly"

# No back-off is this long: a job that has to wait longer was put back before the clock was set right.
LONGEST_DELAY = 900.0


class Claims:
    """Who works on what. Methods with a `lease` raise LeaseLost when the job is no longer that lease's."""

    def __init__(self, store: Store, jobs: JobTable) -> None:
        self._store = store
        self._jobs = jobs

    def next_candidate(self, now: float) -> Job | None:
        """Return the queued job whose turn it is, of those that may start; claims nothing.

        `now`: seconds since the epoch.
        """
        ready = (Job.not_before <= now) | (Job.not_before > now + LONGEST_DELAY)
        with self._store.reading():
            row: Job | None = self._store.first(Job.select().where(Job.state == QUEUED, ready).order_by(*ORDER))
            return row

    def claim(self, job_id: int, preset_json: str, owner: Owner, slot: str, max_attempts: int) -> Job | None:
        """Take a queued job: its attempt is counted before any work, its preset fixed, and `lease` set.

        None if another one was faster, or if the attempts are used up: then the job is failed now.
        """
        with self._store.writing():
            if self._take(job_id, preset_json, owner, slot, max_attempts):
                return self._jobs.get(job_id)
            self._give_up(job_id, max_attempts)
        return None

    def heartbeat(
        self,
        job_id: int,
        lease: str,
        frames_done: int,
        frames_total: int | None,
        fps: float | None,
        working: bool = False,
    ) -> str:
        """Report frames from inside the work; `working`: something else got done, such as joining or checking.

        Returns "ok", "cancel" if a person asked for that, or "lost" if the job is no longer ours. Each call
        waits for the disk: once a second is plenty.
        """
        now = time.time()
        with self._store.writing():
            row = self._leased(job_id, lease)
            if row is None:
                return "lost"
            values: dict[str, Any] = {"frames_done": frames_done, "frames_total": frames_total, "fps": fps}
            if working or frames_done != row.frames_done:
                values |= {"progress_at": now, "progress_ticks": time.monotonic()}
            self._jobs.change(job_id, heartbeat=now, **values)
            count_frames(self._store, self._jobs, row, frames_done)
            return "cancel" if row.cancel_requested else "ok"

    def publishing(
        self,
        job_id: int,
        lease: str,
        result: Path,
        size: int,
        mtime_ns: int,
        *,
        model: str,
        report_json: str,
        warnings: list[str],
    ) -> None:
        """Record the intent to publish: if this attempt dies just after, the next one knows the result.

        With it goes all that `finish` would record, so that nothing of it is lost then.
        """
        now = {"progress_at": time.time(), "progress_ticks": time.monotonic()}
        made = {"model": model, "report": report_json, "warnings": warnings}
        with self._owned(job_id, lease):
            self._jobs.change(job_id, result=str(result), result_size=size, result_mtime_ns=mtime_ns, **made, **now)
            self._jobs.note(job_id)

    def finish(self, job_id: int, lease: str, result: Path, model: str, report_json: str, warnings: list[str]) -> None:
        """The result is in the outbox: the job is done. The source is settled afterwards, see `History.unsettled`."""
        with self._owned(job_id, lease) as row:
            self._jobs.end(
                job_id,
                DONE,
                result=str(result),
                model=model,
                report=report_json,
                warnings=warnings,
                error=None,
                error_kind=None,
                frames_total=row.frames_done if row.frames_total is None else row.frames_total,
            )

    def fail(self, job_id: int, lease: str, error: str, kind: str, result: Path | None, warnings: list[str]) -> None:
        """The job is failed for good; `result` is the partial video, if there is one."""
        with self._owned(job_id, lease):
            self._jobs.end(job_id, FAILED, error=error, error_kind=kind, warnings=warnings, **partial_result(result))

    def cancelled(self, job_id: int, lease: str, result: Path | None) -> None:
        """The worker stopped because a person cancelled; `result` is the partial video, if there is one."""
        with self._owned(job_id, lease):
            self._jobs.end(job_id, CANCELLED, error="cancelled", error_kind=None, **partial_result(result))

    def skip(self, job_id: int, lease: str, reason: str) -> None:
        """There is nothing to do for the job, for the reason given; its source stays."""
        with self._owned(job_id, lease):
            self._jobs.end(job_id, SKIPPED, error=reason, error_kind=None, **no_result())

    def requeue(
        self, job_id: int, lease: str, reason: str, kind: str, delay_seconds: float, count_attempt: bool
    ) -> None:
        """Put a running job back in its old place, not to be claimed for `delay_seconds`.

        With `count_attempt` false the attempt is given back: the interruption was not the file's fault. If
        the file has a newer version in the queue, the job ends as replaced instead.
        """
        with self._owned(job_id, lease) as row:
            self._put_back(row, reason, kind, time.time() + delay_seconds, row.attempts - (not count_attempt))

    def recover(self, dead: Callable[[Owner], bool]) -> list[int]:
        """Put back the running jobs whose owner is dead; their numbers. The attempt stays counted."""
        recovered = []
        with self._store.writing():
            for row in self._store.run(Job.select().where(Job.state == RUNNING).order_by(Job.id)):
                if dead(Owner(row.owner_host, row.owner_pid, row.owner_start)):
                    self._put_back(row, CRASHED, "crash", 0.0, row.attempts)
                    recovered.append(int(row.id))
        if recovered:
            log.warning("put back jobs whose worker ended unexpectedly: %s", ", ".join(map(str, recovered)))
        return recovered

    def running_stalled(self, now: float, stall_seconds: float) -> list[Job]:
        """Return running jobs without progress for `stall_seconds`; `now` is the current `time.time()`.

        Their age is measured on the machine's monotonic clock, so that setting the clock stalls nobody.
        """
        ticks = time.monotonic() + (now - time.time())
        late = (Job.state == RUNNING) & (Job.progress_ticks < ticks - stall_seconds)
        return self._store.rows(Job.select().where(late).order_by(Job.id))

    def _take(self, job_id: int, preset_json: str, owner: Owner, slot: str, max_attempts: int) -> bool:
        """Make a queued job this owner's, if it is still queued: one statement, of which only one can change the row.

        So it is right in every database, whatever its transactions exclude.
        """
        now = time.time()
        published = Job.result_size.is_null(False)
        return self._jobs.change(
            job_id,
            Job.state == QUEUED,
            Job.attempts < max_attempts,
            state=RUNNING,
            preset=preset_json,
            attempts=Job.attempts + 1,
            lease=secrets.token_hex(16),
            owner_host=owner.host,
            owner_pid=owner.pid,
            owner_start=owner.start,
            slot=slot,
            # Of a result that may be out already, what is known about its making stays for the record.
            frames_done=pw.Case(None, [(published, Job.frames_done)], 0),
            fps=pw.Case(None, [(published, Job.fps)], None),
            claimed=now,
            heartbeat=now,
            progress_at=now,
            progress_ticks=time.monotonic(),
        )

    def _give_up(self, job_id: int, max_attempts: int) -> None:
        """Let a queued job fail whose attempts are used up."""
        row = self._jobs.get(job_id)
        if row is None or row.state != QUEUED or row.attempts < max_attempts:
            return
        reason = f"gave up after {row.attempts} attempts: {row.error or 'no reason was recorded'}"
        unchanged = Job.state == QUEUED, Job.attempts == row.attempts
        self._jobs.end(job_id, FAILED, *unchanged, error=reason, error_kind=row.error_kind or "crash")

    @contextmanager
    def _owned(self, job_id: int, lease: str) -> Iterator[Job]:
        """A transaction around a running job that is still this lease's."""
        with self._store.writing():
            row = self._leased(job_id, lease)
            if row is None:
                raise LeaseLost(f"Job {job_id} is no longer this worker's: it was put back or ended in the meantime.")
            yield row

    def _put_back(self, row: Job, reason: str, kind: str, not_before: float, attempts: int) -> None:
        """Queue a running job again; or end it as replaced, if a newer version of its file has come."""
        if self._jobs.newer(row) is not None:
            self._jobs.end(row.id, CANCELLED, error=SUPERSEDED, error_kind=None)
            return
        # cancel_requested stays: the next claim sees it at its first heartbeat and salvages what is finished.
        waiting = {
            "not_before": not_before,
            "attempts": max(0, attempts),
            "error": reason,
            "error_kind": kind,
        }
        self._jobs.change(row.id, state=QUEUED, **waiting, **NOT_OWNED)

    def _leased(self, job_id: int, lease: str) -> Job | None:
        row = self._jobs.get(job_id)
        return row if row is not None and row.state == RUNNING and row.lease == lease else None
