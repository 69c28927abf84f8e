"""Worker processes: one per slot, restarted with growing patience, killed with all they started."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flashvsr.errors import FlashVSRError
from flashvsr.system.devices import Slot

log = logging.getLogger(__name__)

WORKER_COMMAND = (sys.executable, "-m", "flashvsr.worker")

# Sent to workers that may still be loading the interpreter, where the default action would end them: held
# back until the worker has its handlers, see SignalQueue.
_HELD_BACK = (signal.SIGHUP, signal.SIGUSR1)

# Addressed to the service process alone.
_NOT_INHERITED = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")


@dataclass(frozen=True)
class Patience:
    """How long to wait before a slot gets a new worker (all in seconds but the count)."""

    first: float = 1.0
    longest: float = 60.0
    healthy_after: float = 60.0  # a worker that stayed up this long starts the count anew
    failures_before_rest: int = 5
    rest: float = 600.0

    def delay(self, failures: int) -> float:
        """Seconds until the next start after this many failures in a row (at least one)."""
        if failures >= self.failures_before_rest:
            return self.rest
        return float(min(self.longest, self.first * 2 ** (failures - 1)))


@dataclass(frozen=True)
class EndedWorker:
    """A worker process that is gone."""

    slot: Slot
    pid: int
    reason: str  # "exit code 1", "killed by SIGSEGV"
    code: int  # exit code, or minus the number of the signal that killed it
    delay: float  # seconds until its slot gets a new one
    resting: bool
    dismissed: bool = False  # it was sent away, see `WorkerPool.rest`; a new one may start at once

    @property
    def asked_to(self) -> bool:
        """Whether it left on request: with code 0, as it does on a signal."""
        return self.code == 0


@dataclass
class _Place:
    """One slot and the process in it, if any. Times are on the monotonic clock."""

    slot: Slot
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    next_start: float = 0.0
    failures: int = 0
    kill_reason: str = ""
    resting: bool = False  # this process does no jobs
    dismissed: float | None = None  # when it was told to leave because the pool rests, or does no longer


class WorkerPool:
    """One worker process per slot. Every method returns at once; nothing here waits for a process."""

    def __init__(
        self,
        slots: Sequence[Slot],
        config_file: Path,
        command: Sequence[str] = WORKER_COMMAND,
        patience: Patience | None = None,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """`prepare` is called before each worker starts; an error of it is one of starting the worker."""
        self._places = [_Place(slot) for slot in slots]
        self._config_file = config_file
        self._command = tuple(command)
        self._patience = patience or Patience()
        self._prepare = prepare
        self._resting = False

    def rest(self, resting: bool, now: float, patience: float) -> None:
        """Let no job be worked on, or let work go on; to be called again and again.

        Workers of the other kind are told to leave: SIGTERM lets them close their chunk. Those that are still there
        after `patience` seconds are killed. While it rests, one worker puts in order what is left of jobs that have
        ended; it sees no GPU.
        """
        self._resting = resting
        for place, process in self._running():
            if place.resting == resting:
                continue
            if place.dismissed is None:
                place.dismissed = now
                os.kill(process.pid, signal.SIGTERM)
            elif now - place.dismissed > patience:
                self.kill(place.slot.name, "killed: it did not leave in time")

    def start_due(self, now: float) -> None:
        """Give every empty slot whose waiting time is over a new process; while the pool rests, only the first one."""
        for place in self._places[:1] if self._resting else self._places:
            if place.process is None and place.next_start <= now:
                self._start(place, now)

    def reap(self, now: float) -> list[EndedWorker]:
        """Collect the processes that ended, and end what they left behind in their process group."""
        ended = []
        for place, process in self._running():
            if _has_ended(process):
                _kill_group(process)  # before the process id is given back and could mean another group
                ended.append(self._note_end(place, process.pid, process.wait(), now))
        return ended

    def kill(self, slot_name: str, reason: str) -> bool:
        """End the slot's worker and all it started, without asking; `reap` reports it, with this reason.

        False when it was killed before: a process that hangs in the kernel goes when that lets it go.
        """
        for place, process in self._running():
            if place.slot.name == slot_name and not place.kill_reason:
                place.kill_reason = reason
                _kill_group(process)
                return True
        return False

    def kill_all(self, reason: str) -> None:
        """End every worker without asking."""
        for place, _ in self._running():
            self.kill(place.slot.name, reason)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to every worker process (not to what they started)."""
        for _, process in self._running():
            os.kill(process.pid, number)  # at worst a zombie: nobody but `reap` collects them

    def pids(self) -> dict[str, int]:
        """Slot name -> process id of those that run (or wait to be reaped)."""
        return {place.slot.name: process.pid for place, process in self._running()}

    def _running(self) -> Iterator[tuple[_Place, subprocess.Popen[bytes]]]:
        for place in self._places:
            if place.process is not None:
                yield place, place.process

    def _start(self, place: _Place, now: float) -> None:
        arguments = (
            "--config",
            str(self._config_file),
            "--slot",
            place.slot.name,
            "--label",
            place.slot.label,
        )
        command = (*self._command, *arguments, "--parent", str(os.getpid()), *(("--rest",) if self._resting else ()))
        place.started, place.kill_reason, place.resting, place.dismissed = now, "", self._resting, None
        held_back = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)  # inherited by the new process
        try:
            self._prepare()
            place.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                env=worker_environment(place.slot, self._resting),
                start_new_session=True,  # its own process group, so that all of it can be killed
            )
        except (OSError, FlashVSRError) as error:
            ended = self._note_end(place, 0, 1, now)
            log.error("%s: cannot start a worker: %s; next try in %.0f s", place.slot.name, error, ended.delay)
        else:
            log.info("%s (%s): worker %d started", place.slot.name, place.slot.label, place.process.pid)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held_back)

    def _note_end(self, place: _Place, pid: int, code: int, now: float) -> EndedWorker:
        place.process = None
        if place.dismissed is not None:  # as it was asked to: nothing is wrong with it
            place.next_start = now
            return EndedWorker(place.slot, pid, place.kill_reason or _exit_text(code), code, 0.0, False, dismissed=True)
        if now - place.started >= self._patience.healthy_after:
            place.failures = 0
        place.failures += 1
        delay = self._patience.delay(place.failures)
        place.next_start = now + delay
        resting = place.failures >= self._patience.failures_before_rest
        return EndedWorker(place.slot, pid, place.kill_reason or _exit_text(code), code, delay, resting)


def worker_environment(slot: Slot, resting: bool = False) -> dict[str, str]:
    """The service's environment, narrowed to the slot's GPU ("" shows none); to none at all while it rests."""
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    # The order nvidia-smi and the discovery use; CUDA's own default is "fastest first".
    environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    environment["CUDA_VISIBLE_DEVICES"] = "" if resting else slot.visible
    return environment


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process ended; it stays a zombie, so that its id cannot be taken by another."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        log.debug("process group %d is gone already", process.pid)


def _exit_text(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"killed by signal {-code}"
