"""The other side of `prober`: `python -m flashvsr.upscaling.probing_child MEMORY PARENT`.

Reads requests from standard input and answers on standard output, one JSON object a line. Between request and answer
come signs of life, at most every SIGN_SECONDS, and only when something was read. MEMORY: bytes that this process may
take beside what it has when it is ready; 0 is no limit.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from flashvsr.errors import BadInput, Transient
from flashvsr.files.trees import Trees
from flashvsr.system.lifeline import die_with
from flashvsr.upscaling.plain import from_plain, to_plain
from flashvsr.video.allocations import bound_allocations, largest_block
from flashvsr.video.beside import Beside, beside
from flashvsr.video.interlacing import Scan, examine
from flashvsr.video.limits import Limits
from flashvsr.video.media import hold_source
from flashvsr.video.probe import SourceInfo, probe

SIGN_SECONDS = 0.1
# Of the processor, for each request: to open a file, to decode stretches of it, and for each of the bytes it has.
PROBE_SECONDS, EXAMINE_SECONDS, BYTES_PER_SECOND, MOST_SECONDS = 60, 1200, 10 << 20, 7200
DECODERS_BYTES_PER_PIXEL = 120  # decoders keep up to twenty pictures, of up to 6 bytes a pixel
# What went wrong, in an answer.
BAD_INPUT, TRANSIENT, MEMORY, INTERNAL = "bad input", "transient", "memory", "internal"

_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
_LEFT_TO_THE_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)  # they go to the whole group


def main(arguments: list[str]) -> int:
    """Answer until nobody asks any more."""
    memory, parent = map(int, arguments)
    for number in _LEFT_TO_THE_PARENT:
        signal.signal(number, signal.SIG_IGN)
    die_with(parent)
    faulthandler.enable()  # a demuxer that crashes on a broken file leaves a trace in the log
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # whatever a library prints is no answer
    child = _Child(memory, answers)
    for line in sys.stdin:
        child.answer(json.loads(line))
        if child.has_taken_too_much:
            break  # the most it ever had says nothing about the next file
    return 0


class _Child:
    """Answers requests, one after the other."""

    def __init__(self, memory: int, answers: TextIO) -> None:
        self._memory = memory
        self._answers = answers
        self._next_sign = 0.0
        self._own = _most_bytes()
        self._say({"ready": True})

    @property
    def has_taken_too_much(self) -> bool:
        """Whether it ever took more than `memory`. FFmpeg does not tell of each piece of memory that it did not get."""
        return 0 < self._memory < _most_bytes() - self._own

    def answer(self, request: dict[str, Any]) -> None:
        """Do what is asked, and say what came of it."""
        try:
            told = {"answer": to_plain(self._do(request))}
        except Exception as error:
            told = {"error": MEMORY} if _is_for_memory(error) else _described(error)
        if request["what"] == "probe" and self.has_taken_too_much:
            told = {"error": MEMORY}
        self._say(told)

    def _do(self, request: dict[str, Any]) -> SourceInfo | Scan | Beside:
        roots = request["roots"]
        trees = Trees(None if roots is None else tuple(map(Path, roots)))
        reading = int(request["size"]) // BYTES_PER_SECOND
        if request["what"] == "probe":
            path, limits = Path(request["path"]), from_plain(Limits, request["limits"])
            block = largest_block(self._memory)
            bound_allocations(block)
            # One block more, so that whoever comes to the end of it has taken more than `memory`.
            self._limit(self._memory + block, PROBE_SECONDS + reading)
            with hold_source(trees, path):
                return probe(path, limits, self._sign, float(request["seconds"]))
        info = from_plain(SourceInfo, request["info"])
        if request["what"] == "beside":
            self._limit(self._memory + largest_block(self._memory), PROBE_SECONDS + reading)
            with hold_source(trees, info.path):
                return beside(info, str(request["audio"]), str(request["container"]), self._sign)
        pictures = info.width * info.height * DECODERS_BYTES_PER_PIXEL
        self._limit(self._memory + pictures, EXAMINE_SECONDS + reading)
        with hold_source(trees, info.path):
            return examine(info, self._sign)

    def _limit(self, memory: int, seconds: int) -> None:
        """Have the kernel refuse more memory, and end this process when it has computed for so long from now on."""
        if self._memory:
            resource.setrlimit(resource.RLIMIT_AS, (self._own + memory, resource.RLIM_INFINITY))
        usage = resource.getrusage(resource.RUSAGE_SELF)
        used = int(usage.ru_utime + usage.ru_stime)
        resource.setrlimit(resource.RLIMIT_CPU, (used + min(seconds, MOST_SECONDS), resource.RLIM_INFINITY))

    def _sign(self) -> None:
        now = time.monotonic()
        if now >= self._next_sign:
            self._next_sign = now + SIGN_SECONDS
            self._say({"working": True})

    def _say(self, words: dict[str, Any]) -> None:
        self._answers.write(json.dumps(words) + "\n")
        self._answers.flush()


def _described(error: Exception) -> dict[str, Any]:
    if isinstance(error, BadInput):
        return {"error": BAD_INPUT, "message": str(error), "fault": error.fault}
    if isinstance(error, Transient):
        return {"error": TRANSIENT, "message": str(error)}
    sys.excepthook(type(error), error, error.__traceback__)
    return {"error": INTERNAL, "message": f"{type(error).__name__}: {error}"[:1000]}


def _is_for_memory(error: BaseException) -> bool:
    """Whether there was not enough of it; FFmpeg's own error is a MemoryError, too."""
    if isinstance(error, MemoryError):
        return True
    cause = error.__cause__ or error.__context__
    return cause is not None and _is_for_memory(cause)


def _most_bytes() -> int:
    """The most address space that this process ever had."""
    status = Path("/proc/self/status").read_text(errors="replace")
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmPeak"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
