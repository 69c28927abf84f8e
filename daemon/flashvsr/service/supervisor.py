"""The service process: watches the inboxes, keeps workers alive, tells systemd. It never touches a video."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

from flashvsr.errors import BadConfig, Damaged, FlashVSRError
from flashvsr.files.state import prepare_state, state_lock
from flashvsr.inbox.watch import InboxWatcher
from flashvsr.jobs.damage import EX_DAMAGED, heal
from flashvsr.jobs.owner import owner_alive
from flashvsr.jobs.queue import Queue
from flashvsr.notify.post import Pace
from flashvsr.page.pages import Pages
from flashvsr.service.health import Health
from flashvsr.service.leave_to_work import LeaveToWork, Rest
from flashvsr.service.pause import Moment
from flashvsr.service.pool import WORKER_COMMAND, EndedWorker, Patience, WorkerPool
from flashvsr.service.reload import keep_worker_config, read_again, write_worker_config
from flashvsr.service.stopping import CHECKPOINT, FINISH, Stop
from flashvsr.service.systemd import Notifier
from flashvsr.service.telling import Telling
from flashvsr.service.watch_thread import MakeWatcher, WatchThread
from flashvsr.settings.config import Config
from flashvsr.status.line import status_line
from flashvsr.status.service_file import ServiceFile
from flashvsr.status.snapshot import RESTING, SERVING, STARTING, STOPPING, Snapshot
from flashvsr.system import logs
from flashvsr.system.devices import Slot, discover
from flashvsr.system.signals import SignalQueue
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

EX_FAILURE = 1
EX_CONFIG = 78  # of sysexits(3): the unit does not start the service again on it, only a person can help

# A child that ends wakes the loop, so that its job is queued again at once.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

# What tells a worker to stop in this way. A kill asks nobody.
STOP_SIGNALS = {FINISH: signal.SIGUSR1, CHECKPOINT: signal.SIGTERM}


@dataclass(frozen=True)
class Intervals:
    """How often and how long, in seconds."""

    turn: float = 0.5
    report: float = 2.0
    recover: float = 10.0  # how often to look for jobs whose worker died unseen, such as one of an earlier service
    silence: float = 120.0  # a watcher silent for longer hangs, and the watchdog is no longer fed
    checkpoint: float = 90.0  # what workers get to close their chunk; TimeoutStopSec of the unit is longer
    killed: float = 10.0
    watcher_end: float = 5.0
    telling: Pace = field(default_factory=Pace)


class Supervisor:
    """The service. `run` returns its exit code; everything else is what one turn of its loop does."""

    def __init__(
        self,
        config: Config,
        *,
        slots: Sequence[Slot] | None = None,
        worker_command: Sequence[str] = WORKER_COMMAND,
        make_watcher: MakeWatcher = InboxWatcher,
        notifier: Notifier | None = None,
        patience: Patience | None = None,
        pace: Intervals | None = None,
    ) -> None:
        self._config = config
        self._slots = slots
        self._worker_command = worker_command
        self._make_watcher = make_watcher
        self._notifier = notifier or Notifier()
        self._patience = patience or Patience()
        self._pace = pace or Intervals()
        self._leave = LeaveToWork(config.paths.state)
        self._rest: Rest | None = None
        self._stop = Stop(self._pace.checkpoint, self._pace.killed)
        self._ready = False
        self._next_recover = 0.0
        self._next_report = 0.0
        self._next_watchdog = 0.0

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT.

        0: stopped as asked; 1: cannot run here, or not with this database, which the next start sets aside; 78:
        wrong configuration.
        """
        state = self._config.paths.state
        try:
            prepare_state(state)
            with state_lock(state), SignalQueue(SIGNALS) as self._signals, self._healed_queue() as self._queue:
                self._start()
                while not self._stop.requested:
                    self._turn()
                self._drain()
        except FlashVSRError as error:
            logs.each_line(log, logging.ERROR, str(error))
            return EX_CONFIG if isinstance(error, BadConfig) else EX_FAILURE
        return 0

    def _healed_queue(self) -> closing[Queue]:
        state = self._config.paths.state
        heal(state)
        return closing(Queue(state))

    def _start(self) -> None:
        self._forget_workers()
        self._recover_jobs()
        archived = self._queue.history.last_archived()
        if archived is not None and self._config.watch.on_success == "keep":
            # An older version archived where the settings said nothing.
            log.warning(
                "sources stay in the inbox now; the last one was moved, to %s. To go on like that: watch.on_success = "
                '"archive" in the settings',
                printable(archived),
            )
        gpu = self._config.gpu
        slots = discover(gpu.devices, gpu.max_concurrent) if self._slots is None else self._slots
        config_file = write_worker_config(self._config)
        self._pool = WorkerPool(
            slots, config_file, self._worker_command, self._patience, lambda: keep_worker_config(self._config)
        )
        self._watch = WatchThread(self._config, self._make_watcher, time.monotonic)
        paths = self._config.paths
        self._health = Health(self._queue, self._pool, self._watch, self._pace.silence, paths.inbox)
        self._service_file = ServiceFile(paths.state)
        self._telling = Telling(self._config, slots, self._pace.telling)
        self._telling.start()
        self._pages = Pages(self._queue)
        self._watch.start()

    def _turn(self) -> None:
        self._answer_signals()
        if self._watch.damage:
            raise Damaged(self._watch.damage)
        with self._health.queue_guard():
            self._look_after_jobs()
        if not self._stop.requested:
            self._look_at_the_hours()
            self._pool.start_due(time.monotonic())
        self._report()
        self._signals.wait(self._pace.turn)

    def _drain(self) -> None:
        """Wait for the workers to leave, put everything in order. Stalled ones are still killed meanwhile."""
        self._watch.end()
        self._notifier.stopping(f"stopping: {self._stop.words}")
        while self._pool.pids() and not self._stop.gives_up(time.monotonic()):
            if self._stop.must_kill(time.monotonic()):
                self._pool.kill_all("killed: it did not stop in time")
            self._turn()
        for slot, pid in self._pool.pids().items():
            log.error("%s: worker %d hangs in a driver or a share and is left behind", slot, pid)
        self._watch.join(self._pace.watcher_end)
        with self._health.queue_guard():
            self._recover_jobs()
            self._forget_workers()
            self._health.refresh()
        self._pages.stop(self._snapshot())
        self._telling.finish()
        log.info("stopped")

    def _answer_signals(self) -> None:
        for number in self._signals.take():
            if number == signal.SIGHUP:
                self._reload()
            elif number != signal.SIGCHLD:
                self._begin_to_stop(number)

    def _begin_to_stop(self, number: signal.Signals) -> None:
        mode = self._stop.request(self._config.service.stop_mode, time.monotonic())
        log.info("%s: stopping; %s", number.name, self._stop.words)
        if mode in STOP_SIGNALS:
            self._pool.send(STOP_SIGNALS[mode])

    def _look_at_the_hours(self) -> None:
        """Let workers leave or come back, as a pause and the hours of the settings say."""
        rest = self._leave.rest(self._config.schedule.run, Moment.now())
        if (rest and rest.words) != (self._rest and self._rest.words):
            log.info("%s", rest.words if rest else "work goes on")
        self._rest = rest
        self._pool.rest(rest is not None, time.monotonic(), self._pace.checkpoint)

    def _look_after_jobs(self) -> None:
        for ended in self._pool.reap(time.monotonic()):
            self._note_end(ended)
        self._kill_stalled()
        if time.monotonic() >= self._next_recover:
            self._recover_jobs()
        self._health.refresh()

    def _note_end(self, ended: EndedWorker) -> None:
        """A worker is gone: its job goes back to the queue, the worker table shows why the slot is empty."""
        self._next_recover = 0.0  # this turn; should the queue not answer, the next one tries again
        plan = "" if self._stop.requested else _plan(ended)
        if ended.code == EX_DAMAGED:
            raise Damaged(f"{ended.slot.name}: the worker found the queue database damaged, see its last lines above")
        if ended.dismissed:
            log.info("%s: worker %d left (%s)", ended.slot.name, ended.pid, ended.reason)
            self._queue.workers.remove(ended.slot.name)
            return
        level = logging.INFO if ended.asked_to or self._stop.requested else logging.ERROR
        log.log(level, "%s: worker %d ended (%s)%s", ended.slot.name, ended.pid, ended.reason, plan)
        error = f"the worker ended ({ended.reason}){plan}"
        self._queue.workers.set(ended.slot.name, 0, ended.slot.label, "starting", error=error)

    def _kill_stalled(self) -> None:
        """Only work done is progress: a worker that hangs in a driver may still give signs of life."""
        if not self._health.is_working():
            return
        limit = self._config.queue.stall_seconds
        pids = self._pool.pids()
        for job in self._queue.claims.running_stalled(time.time(), limit):
            ours = job.slot is not None and pids.get(job.slot) == job.owner_pid
            if ours and self._pool.kill(str(job.slot), f"killed: no progress for {limit:.0f} s"):
                log.error("no progress for %.0f s, its worker is killed", limit, extra={"job": job.id})

    def _recover_jobs(self) -> None:
        self._queue.claims.recover(lambda owner: not owner_alive(owner))
        self._next_recover = time.monotonic() + self._pace.recover

    def _forget_workers(self) -> None:
        for worker in self._queue.workers.all():
            self._queue.workers.remove(worker.slot)

    def _report(self) -> None:
        now = time.monotonic()
        if not self._ready and (self._rest is not None or self._health.worker_is_up()):
            self._ready = True
            line = status_line(self._snapshot())
            self._notifier.ready(line)
            log.info("ready: %s", line)
        if now >= self._next_report:
            self._next_report = now + self._pace.report
            self._tell()
        if now >= self._next_watchdog and self._health.healthy():
            self._next_watchdog = now + self._notifier.watchdog_seconds
            self._notifier.watchdog()
            if self._stop.mode == FINISH:  # may take hours, TimeoutStopSec does not know
                self._notifier.extend_timeout(8 * self._notifier.watchdog_seconds)

    def _tell(self) -> None:
        """Show what is known at the moment, wherever it is shown."""
        self._health.told_aside = tuple(self._telling.problems())
        snapshot = self._snapshot()
        self._telling.observe(snapshot, self._health.healthy())
        self._notifier.status(status_line(snapshot))
        self._service_file.keep(snapshot)
        self._pages.show(snapshot, self._config)

    def _snapshot(self) -> Snapshot:
        return self._health.snapshot(*self._doing(), self._config.schedule.run)

    def _doing(self) -> tuple[str, float | None, str]:
        """What is done besides serving, or instead of it: in words, until when, and as a mode (`ServiceState`)."""
        if self._stop.requested:
            return f"stopping: {self._stop.words}", None, STOPPING
        if self._rest is not None:
            return self._rest.words, self._rest.until, RESTING
        return ("", None, SERVING) if self._ready else ("starting the workers", None, STARTING)

    def _reload(self) -> None:
        """Take the changed configuration over as a whole or not at all; running jobs go on undisturbed."""
        if self._ready:
            self._notifier.reloading()
        try:
            config, waiting = read_again(self._config)
            write_worker_config(config)
        except FlashVSRError as error:
            log.error("reload: the changed configuration cannot be used, the service goes on as before:")
            logs.each_line(log, logging.ERROR, str(error))
            self._health.config_problem = "the changed configuration cannot be used, see the log"
        else:
            self._take_over(config, waiting)
        if self._ready:
            self._notifier.ready(status_line(self._snapshot()))

    def _take_over(self, config: Config, waiting: Sequence[str]) -> None:
        self._config = config
        logs.set_level(config.service.log_level)
        for note in config.notes:
            log.warning("%s", note)
        for table in waiting:
            log.warning("reload: the change in [%s] takes effect when the service is restarted", table)
        self._health.config_problem = f"restart to apply the change in {', '.join(waiting)}" if waiting else ""
        self._watch.reload(config)
        self._telling.reload(config)
        self._pool.send(signal.SIGHUP)
        log.info("reload: the configuration applies from the next job on")


def _plan(ended: EndedWorker) -> str:
    if ended.resting:
        until = time.strftime("%H:%M", time.localtime(time.time() + ended.delay))
        return f"; {ended.slot.name} rests until {until} because its workers keep failing"
    return f"; a new one starts in {ended.delay:.0f} s"
