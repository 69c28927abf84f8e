"""What a person asks of a job: try it again, cancel it."""

from __future__ import annotations

from flashvsr.errors import FlashVSRError
from flashvsr.jobs.schema import CANCELLED, FAILED, HELD, QUEUED, RUNNING, SKIPPED, state_word
from flashvsr.jobs.store import Store
from flashvsr.jobs.table import JobTable, fresh_start, no_result
from flashvsr.system.text import printable


class Requests:
    """Changes from outside the service; FlashVSRError tells that person why a job cannot be changed so."""

    def __init__(self, store: Store, jobs: JobTable) -> None:
        self._store = store
        self._jobs = jobs

    def retry(self, job_id: int, *, force: bool = False) -> None:
        """Queue a failed, cancelled, skipped or held job again, with all its attempts.

        `force`: it is done although its preset skips it.
        """
        with self._store.writing():
            row = self._jobs.existing(job_id)
            if row.state not in (FAILED, CANCELLED, SKIPPED, HELD):
                raise FlashVSRError(
                    f"Job {job_id} is {state_word(row.state)}; only failed, cancelled, skipped and held jobs can be "
                    "tried again."
                )
            if self._jobs.newer(row) is not None:
                raise FlashVSRError(
                    f"Job {job_id} is about an older version of {printable(row.source)}; "
                    "the newer version has its own job."
                )
            self._jobs.begin_anew(job_id, state=QUEUED, forced=force, **fresh_start(), **no_result())

    def cancel(self, job_id: int) -> str:
        """Cancel a job: "cancelled" if it was waiting, "cancel_requested" if its worker has to stop first."""
        with self._store.writing():
            row = self._jobs.existing(job_id)
            if row.state == RUNNING:
                self._jobs.change(job_id, cancel_requested=True)
                return "cancel_requested"
            if row.state not in (QUEUED, HELD):
                raise FlashVSRError(f"Job {job_id} is already {row.state}; there is nothing to cancel.")
            self._jobs.end(job_id, CANCELLED, error="cancelled", error_kind=None)
            return "cancelled"
