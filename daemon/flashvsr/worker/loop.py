"""One worker's loop: find a job, claim it, do it, say how it ended. The caller owns `while`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from flashvsr.errors import BadConfig, BadInput, Damaged, FlashVSRError, Interrupted, LeaseLost, NoSpace, SourceRenamed
from flashvsr.files.objects import object_of
from flashvsr.files.report_text import report_toml
from flashvsr.files.space import check_low_water
from flashvsr.jobs.owner import current_owner
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import CANCELLED, DONE, FAILED, QUEUED, SKIPPED, Job
from flashvsr.outbox.publish import Outbox
from flashvsr.outbox.writable import OutboxClosed
from flashvsr.settings.config import Config
from flashvsr.settings.inbox_preset import check_inbox_preset
from flashvsr.settings.preset import Preset, preset_of_job, preset_to_json
from flashvsr.system import logs
from flashvsr.system.memory import free_gpu_memory
from flashvsr.system.text import printable
from flashvsr.worker.access import Access
from flashvsr.worker.conclusion import Conclusion
from flashvsr.worker.faults import Outcome, Verdict, judge, out_of_gpu_memory
from flashvsr.worker.job_control import JobControl
from flashvsr.worker.kept_engine import KeptEngine
from flashvsr.worker.orders import Orders
from flashvsr.worker.places import is_published, task_for
from flashvsr.worker.settling import Settling
from flashvsr.worker.sweep import Sweep
from flashvsr.worker.told import tell_done, tell_ended, tell_put_back
from flashvsr.worker.whereabouts import Whereabouts

if TYPE_CHECKING:
    from flashvsr.upscaling.engine import AnyEngine
    from flashvsr.upscaling.entry import Upscaling

log = logging.getLogger(__name__)

MESSAGE_SECONDS = 5.0  # a progress bar speaks often
_ENDINGS = {Outcome.CANCEL: CANCELLED, Outcome.SKIP: SKIPPED, Outcome.FAIL: FAILED}  # the state of a job after it
FULL_SECONDS = 2.0  # between two tries to write to a full disk


class WorkerLoop:
    """Works for one slot. What goes wrong with a job stays with it; errors of the queue itself come out."""

    def __init__(
        self,
        config: Config,
        queue: Queue,
        slot: str,
        label: str,
        upscaling: Upscaling,
        orders: Orders,
        read_config: Callable[[], Config],
        rests: bool = False,
    ) -> None:
        """`rests`: it only puts in order what is left of jobs that have ended."""
        self._config = config
        self._queue = queue
        self._slot = slot
        self._label = label
        self._upscaling = upscaling
        self._orders = orders
        self._read_config = read_config
        self._rests = rests
        self._owner = current_owner()
        self._engine = KeptEngine(upscaling)

        def current() -> Config:  # there is one copy, and whoever needs it asks for it
            return self._config

        self._access = Access(current)
        self._whereabouts = Whereabouts(queue, current)
        self._conclusion = Conclusion(current, self._access, upscaling, queue)
        settling = Settling(queue, current, self._access, self._whereabouts)
        self._sweep = Sweep(queue, current, self._conclusion, settling, self._whereabouts)
        self._broken = False
        self._next_message = 0.0
        self._failures: dict[int, int] = {}  # job -> transient failures in a row
        self._closed: dict[int, str] = {}  # job -> why its outbox cannot be written
        self._shown: tuple[str, int | None, str | None] | None = None

    @property
    def config(self) -> Config:
        """The settings as they are now."""
        return self._config

    @property
    def broken(self) -> bool:
        """Whether this process can do no further work; a new one may."""
        return self._broken or self._engine.broken

    def step(self) -> bool:
        """Do one job, or find that there is none; none at all if it rests. True: look for the next one at once."""
        if self._orders.leave or self.broken:
            return False
        if self._orders.take_reload():
            self._reload()
        self._sweep.step()
        if self._rests:
            self._show("resting")
            return False
        try:
            check_low_water(self._config.paths.state, self._config.queue.min_free)
        except NoSpace as error:
            self._show("idle", error=f"no job starts: {error}")
            return False
        job = self._queue.claims.next_candidate(time.time())
        if job is None or self._engine.rests:
            self._show("idle", error=self._engine.problem or self._closed_outbox())
            return False
        with logs.job(job.id):
            return self._take(job)

    def _take(self, job: Job) -> bool:
        """Claim the job with its inbox's preset of this moment, and see it through.

        What comes before the claim takes no attempt and none of the time for a frame.
        """
        preset = preset_of_job(job.preset)
        try:
            job = self._located(job)
            # Only now: a missing preset is written, and not below the mount point of a share that is away.
            if not is_published(self._config, job):
                try:
                    preset = check_inbox_preset(self._config.trees(), Path(job.inbox), self._config.export.quality)
                except BadConfig as error:
                    return self._hold(job, error)
                preset = preset.fixed(self._load_engine(job).largest)
        except Interrupted:
            return False
        except Damaged:
            raise
        except FlashVSRError as error:
            claimed = self._claim(job, preset)
            if claimed is not None:
                self._end(claimed, error, self._control(claimed, preset))
            return True
        claimed = self._claim(job, preset)
        if claimed is not None:
            self._run(claimed, preset)
        return True

    def _located(self, job: Job) -> Job:
        """Return the job under the name its file has now; raises what keeps it from being done where it is."""
        self._access.check_shares(job)  # else a result that is out would pass for one that is not
        try:
            if not is_published(self._config, job):
                job = self._whereabouts.follow(job)
                self._access.check_shares(job)
                self._access.check_writable(job)
        except OutboxClosed as error:
            self._closed[job.id] = str(error)
            raise
        self._closed.pop(job.id, None)
        return job

    def _closed_outbox(self) -> str | None:
        """What keeps an outbox from being written, while a job waits for that."""
        for number, message in list(self._closed.items()):
            job = self._queue.jobs.get(number)
            if job is not None and job.state == QUEUED:
                return message
            del self._closed[number]
        return None

    def _hold(self, job: Job, error: BadConfig) -> bool:
        held = self._queue.intake.hold(Path(job.inbox), str(error))
        logs.each_line(log, logging.WARNING, f"{held} jobs held, the preset of their inbox has errors:\n{error}")
        return held > 0

    def _load_engine(self, job: Job) -> AnyEngine:
        if not self._engine.loaded:
            self._show("busy", job.id)  # it takes a while, and the job is not claimed yet

        def tell(message: str) -> None:
            if self._orders.leave:
                raise Interrupted("the service stops")
            if time.monotonic() >= self._next_message:
                self._next_message = time.monotonic() + MESSAGE_SECONDS
                log.info("%s", message)
                self._show("busy", job.id, message)

        return self._engine.get(self._config, tell)

    def _claim(self, job: Job, preset: Preset) -> Job | None:
        """Take the job, if no other worker has it and its attempts are not used up: then it is put in order."""
        # One that got as far as publishing may be out already, and then needs its record, not an attempt.
        limit = self._config.queue.max_attempts + (job.result_size is not None)
        if job.attempts >= limit:
            self._conclusion.leave_for_sweep(job)  # given up now; dying over that must not leave it without a word
        claimed = self._queue.claims.claim(job.id, preset_to_json(preset), self._owner, self._slot, limit)
        if claimed is None:
            self._sweep.finish(job.id)  # nothing to do if another worker has it
        else:
            self._show("busy", claimed.id)
        return claimed

    def _control(self, job: Job, preset: Preset) -> JobControl:
        return JobControl(
            self._queue,
            job,
            self._orders,
            check_shares=self._access.check_shares,
            min_free=self._config.queue.min_free,
            follow=self._whereabouts.follow,
            task=lambda now: task_for(self._config, self._queue, now, preset),
            trees=self._config.trees(),
        )

    def _run(self, job: Job, preset: Preset) -> None:
        control = self._control(job, preset)
        try:
            if is_published(self._config, job):
                self._record_published(job, preset)
            else:
                self._work(job, preset, control)
        except Damaged:
            raise  # nothing can be recorded any more
        except Exception as error:
            self._end(job, error, control)
        else:
            self._failures.pop(job.id, None)
            self._sweep.settle_or_postpone(job.id)
            done = self._queue.jobs.get(job.id)
            if done is not None and done.state == DONE:  # else somebody wants it once more already
                self._conclusion.clear(done)

    def _work(self, job: Job, preset: Preset, control: JobControl) -> None:
        log.info("%s, attempt %d of %d", printable(job.source), job.attempts, self._config.queue.max_attempts)
        task = task_for(self._config, self._queue, job, preset)
        engine = self._engine.get(self._config, lambda _: None)
        report = self._upscaling.upscale_file(task, engine, self._config, control)
        self._queue.claims.finish(
            job.id, str(job.lease), report.result, report.model, report.to_json(), list(report.warnings)
        )
        frames = report.frames - report.resumed_at
        self._queue.rates.note(report.device, report.model, report.geometry.model, frames, report.seconds)
        tell_done(report)

    def _record_published(self, job: Job, preset: Preset) -> None:
        """The worker before this one died after the result got its name and before that was recorded."""
        result = Path(str(job.result))
        log.info("done already: %s", printable(result))
        if preset.report and job.report:
            try:
                self._outbox.write_report(result, report_toml(object_of(job.report)))
            except (FlashVSRError, ValueError) as error:  # also of a row that is damaged
                log.warning("the report could not be written beside the result: %s", error)
        # `publishing` recorded the rest before the rename; only a row of an earlier version lacks it.
        self._queue.claims.finish(
            job.id, str(job.lease), result, job.model or "unknown", job.report or "{}", job.warnings
        )

    def _end(self, job: Job, error: Exception, control: JobControl) -> None:
        if isinstance(error, BadInput):
            # Renamed while it was opened by its old name, perhaps: nothing is wrong with it then.
            now = self._whereabouts.present(job)
            if now.source != job.source:
                error = SourceRenamed(f"the file is called {printable(now.source)} now")
        failures = self._failures.get(job.id, 0)
        settle_seconds, max_attempts = self._config.watch.settle_seconds, self._config.queue.max_attempts
        verdict = judge(error, job, settle_seconds=settle_seconds, max_attempts=max_attempts, failures=failures)
        self._broken |= verdict.broken
        if verdict.unexpected:
            log.error("unexpected error", exc_info=error)
        if out_of_gpu_memory(error):
            free_gpu_memory()
        self._failures[job.id] = failures + verdict.grows
        while True:
            try:
                self._conclude(job, verdict, control)
            except LeaseLost as lost:
                log.warning("%s; leaving it alone", lost)
            except NoSpace as full:
                # Not even this can be recorded. Leaving now would cost the job an attempt that is not its fault.
                if self._orders.leave:
                    raise
                log.error("%s", full)
                time.sleep(FULL_SECONDS)
                continue
            return

    def _conclude(self, job: Job, verdict: Verdict, control: JobControl) -> None:
        if verdict.outcome is Outcome.DROP:
            log.warning("%s; leaving it alone", verdict.message)
        elif verdict.outcome is Outcome.REQUEUE:
            self._put_back(job, verdict)
        else:
            self._failures.pop(job.id, None)
            self._end_for_good(job, verdict, control)

    def _put_back(self, job: Job, verdict: Verdict) -> None:
        tell_put_back(verdict.message, verdict.delay, again=verdict.message == job.error)
        told = verdict.message, verdict.kind, verdict.delay
        self._queue.claims.requeue(job.id, str(job.lease), *told, count_attempt=verdict.counted)

    def _end_for_good(self, job: Job, verdict: Verdict, control: JobControl) -> None:
        ending = _ENDINGS[verdict.outcome]
        tell_ended(ending, job.source, verdict.message)
        self._check_lease(job)
        lease, job = str(job.lease), self._whereabouts.present(job)  # a row read anew may have another's lease

        def record(partial: Path | None) -> None:
            if ending == CANCELLED:
                self._queue.claims.cancelled(job.id, lease, partial)
            elif ending == SKIPPED:
                self._queue.claims.skip(job.id, lease, verdict.message)
            else:
                self._queue.claims.fail(job.id, lease, verdict.message, verdict.kind, partial, [])

        with self._conclusion.marker(job.id).alone():
            self._conclusion.conclude(job, verdict, record, control.ending)

    def _check_lease(self, job: Job) -> None:
        now = self._queue.jobs.get(job.id)
        if now is None or now.lease != job.lease:
            raise LeaseLost(f"job {job.id} is no longer this worker's")

    def _reload(self) -> None:
        """Take over the settings the service has accepted; a changed model is loaded at the next job."""
        try:
            config = self._read_config()
        except BadConfig as error:
            logs.each_line(log, logging.ERROR, f"the settings are not taken over:\n{error}")
            return
        if config.model != self._config.model:
            self._engine.forget()
        self._config = config
        logs.set_level(config.service.log_level)

    def _show(self, state: str, job_id: int | None = None, error: str | None = None) -> None:
        """Tell the worker table, when something changed."""
        if self._shown != (state, job_id, error):
            self._shown = (state, job_id, error)
            self._queue.workers.set(self._slot, self._owner.pid, self._label, state, job_id, error)

    @property
    def _outbox(self) -> Outbox:
        return Outbox(self._config.trees())
