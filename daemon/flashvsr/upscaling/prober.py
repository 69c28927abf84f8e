"""Sources are opened here before anywhere else: in a process of their own, under a limit of memory.

A file says anything about itself: 50 KB may ask for gigabytes, and a demuxer may crash. The kernel holds the child to
`limits.memory`, which it could not do with a process that uses CUDA. What happens to the child costs the file in
question an attempt at most: the worker lives on, its model stays loaded, and the next file finds a fresh child. One
child answers for many files, for its start takes a moment. See `flashvsr.upscaling.probing_child` for the other side.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from flashvsr.errors import BadInput, Crashed, Fault, FlashVSRError, Transient
from flashvsr.files import held
from flashvsr.files.at import Identity, identity
from flashvsr.files.trees import Trees
from flashvsr.settings.config import Config
from flashvsr.system.text import printable
from flashvsr.upscaling.plain import from_plain, to_plain
from flashvsr.upscaling.probing_child import BAD_INPUT, INTERNAL, MEMORY, TRANSIENT
from flashvsr.video.beside import Beside
from flashvsr.video.counted import Progress, nothing
from flashvsr.video.interlacing import Scan
from flashvsr.video.lengths import until_of
from flashvsr.video.limits import Limits, check_file
from flashvsr.video.media import hold_source
from flashvsr.video.probe import SourceInfo

T = TypeVar("T")

LEAST_PATIENCE = 30.0  # seconds without a sign of life; a child's start takes one or two
SILENT_SECONDS = 120.0  # in which nothing was read, and no answer came
LONGEST_ANSWER = 16 << 20  # bytes; more are no facts about a file
_NOTHING: Identity = (0, 0, 0, 0)
_COMMAND = (sys.executable, "-m", "flashvsr.upscaling.probing_child")
# Threads of a decoder would each reserve address space for memory of their own, and so would NumPy's.
_ENVIRONMENT = {"MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"}


class _Ended(Crashed):
    """The child is gone."""


class Prober:
    """Asks the child, and replaces it when it has ended. `memory`: bytes, 0 for any; `patience`: seconds of silence.

    Every method raises BadInput for a file that cannot be processed or takes too much, Transient where reading is in
    the way, Crashed where the child ended or fell silent; and what `progress` raises. `progress` is called when
    something was read.
    """

    def __init__(self, memory: int, patience: float = SILENT_SECONDS) -> None:
        self.memory = memory
        self.patience = patience
        self._child: _Child | None = None

    def probe(
        self, trees: Trees, path: Path, limits: Limits, progress: Progress = nothing, seconds: float = 0
    ) -> SourceInfo:
        """Like `flashvsr.video.probe.probe`. `trees`: the way to the file."""
        with hold_source(trees, path):
            check_file(path, limits)
            before = _identity(path)
            request = {"what": "probe", "path": str(path), "limits": to_plain(limits), "seconds": seconds}
            told = self._ask(trees, request, path, progress)
        # Another file that gets the name meanwhile may ask for anything, and nobody has opened it yet.
        facts = _facts(SourceInfo, told, path)
        return replace(facts, path=path, limits=limits, until=until_of(seconds), identity=before)

    def examine(self, trees: Trees, info: SourceInfo, progress: Progress = nothing) -> Scan:
        """Like `flashvsr.video.interlacing.examine`."""
        with hold_source(trees, info.path):
            told = self._ask(trees, {"what": "examine", "info": to_plain(info)}, info.path, progress)
        return _facts(Scan, told, info.path)

    def beside(
        self, trees: Trees, info: SourceInfo, audio: str, container: str, progress: Progress = nothing
    ) -> Beside:
        """Like `flashvsr.video.beside.beside`."""
        request = {"what": "beside", "info": to_plain(info), "audio": audio, "container": container}
        with hold_source(trees, info.path):
            told = self._ask(trees, request, info.path, progress)
        return _facts(Beside, told, info.path)

    def close(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()

    def _ask(self, trees: Trees, request: dict[str, Any], path: Path, progress: Progress) -> Any:
        request["roots"] = None if trees.roots is None else [str(root) for root in trees.roots]
        request["size"] = (_identity(path) or _NOTHING)[2]
        fresh = self._child is None
        try:
            told = self._exchange(request, path, progress)
        except _Ended:
            if fresh:
                raise
            told = {"error": MEMORY}
        if told.get("error") == MEMORY and not fresh:
            # What files before it left behind, taken memory or a spoilt heap, must not be held against this one.
            told = self._exchange(request, path, progress)
        if "answer" in told:
            return told["answer"]
        raise self._failure(told, path)

    def _exchange(self, request: dict[str, Any], path: Path, progress: Progress) -> dict[str, Any]:
        try:
            child = self._child = self._child or _Child(self.memory)
            told = child.exchange(request, path, self.patience, progress)
        except BaseException:
            self.close()
            raise
        if told.get("error") == MEMORY:
            self.close()
        return told

    def _failure(self, told: dict[str, Any], path: Path) -> FlashVSRError:
        error, message = told.get("error"), str(told.get("message"))
        if error == MEMORY:
            # It would take as much the next time: no further attempt is spent on it.
            return BadInput(
                f"{printable(path)} needs more memory just to be opened than limits.memory allows "
                f"({self.memory >> 20} MiB), or has more than 1000 tracks; it is damaged or made to do harm. If you "
                "trust it, raise limits.memory in the settings",
                fault=Fault.HARMFUL,
            )
        if error == BAD_INPUT:
            return BadInput(message, fault=Fault.of(str(told.get("fault"))))
        if error == TRANSIENT:
            return Transient(message)
        if error == INTERNAL:
            return Crashed(f"examining {printable(path)} failed, the log has the details: {message}")
        return _nonsense(path)


class _Child:
    """One process, from its start to its end."""

    def __init__(self, memory: int) -> None:
        self._process = subprocess.Popen(
            [*_COMMAND, str(memory), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_ENVIRONMENT},
            bufsize=0,
        )
        self._received = b""

    def exchange(self, request: dict[str, Any], path: Path, patience: float, progress: Progress) -> dict[str, Any]:
        """Ask, and wait for the answer. Whatever this raises, the child is of no use any more."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
        except BrokenPipeError:
            raise self._ended(path) from None
        deadline = time.monotonic() + patience
        while True:
            line = self._line(path, deadline, patience)
            try:
                told = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise _nonsense(path) from error
            if not isinstance(told, dict):
                raise _nonsense(path)
            if "answer" in told or "error" in told:
                return told
            deadline = time.monotonic() + patience
            if "working" in told:
                progress()

    def _line(self, path: Path, deadline: float, patience: float) -> bytes:
        assert self._process.stdout is not None
        while b"\n" not in self._received:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise self._silent(path, patience)
            more = os.read(self._process.stdout.fileno(), 1 << 16)
            if not more:
                raise self._ended(path)
            self._received += more
            if len(self._received) > LONGEST_ANSWER:
                raise _nonsense(path)
        line, _, self._received = self._received.partition(b"\n")
        return line

    def kill(self) -> None:
        """End it. One that the kernel holds back, on a share that hangs, goes when that lets it go."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return  # collected by Python when the next process is started

    def _silent(self, path: Path, patience: float) -> FlashVSRError:
        name = printable(path)
        if self._is_held_by_the_kernel():
            return Transient(f"reading {name} hangs; is the share there, and does its server answer?")
        return Crashed(
            f"examining {name} came to nothing for {patience:.0f} s and was given up; the file is damaged or made to "
            "do harm"
        )

    def _is_held_by_the_kernel(self) -> bool:
        """Whether it sleeps and cannot be woken: it waits for a disk or a share."""
        try:
            status = Path(f"/proc/{self._process.pid}/stat").read_text()
        except OSError:
            return False
        return status.rpartition(")")[2].split()[0] == "D"

    def _ended(self, path: Path) -> FlashVSRError:
        code = self._process.wait()
        name = printable(path)
        if code == -signal.SIGXCPU:
            return BadInput(
                f"{name} takes the processor much too long just to be examined; it is damaged or made to do harm. "
                "Convert it to a common format first",
                fault=Fault.HARMFUL,
            )
        reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return _Ended(
            f"the process that examines {name} ended by {reason}; the file may be damaged or made to do harm. Repair "
            "it, or convert it to a common format first"
        )


def _facts(kind: type[T], told: object, path: Path) -> T:
    try:
        return from_plain(kind, told)
    except (ValueError, ZeroDivisionError) as error:
        raise _nonsense(path) from error


def _nonsense(path: Path) -> Crashed:
    return Crashed(
        f"the process that examines {printable(path)} said what makes no sense; the file may be made to do harm"
    )


def _identity(path: Path) -> Identity | None:
    """Of the file that has this name; None where there is none, and opening it says what is wrong."""
    try:
        return identity(held.status(path))
    except OSError:
        return None


def prober_for(config: Config) -> Prober:
    """This process's own one. It gives up on a file earlier than the service does on the whole worker."""
    return prober(config.limits.memory, max(LEAST_PATIENCE, config.queue.stall_seconds / 2))


_own: Prober | None = None


def prober(memory: int, patience: float) -> Prober:
    """This process's own one, with these settings from now on."""
    global _own
    if _own is not None and _own.memory != memory:
        _own.close()
        _own = None
    _own = _own or Prober(memory)
    _own.patience = patience
    return _own
