"""The other side of `prober`: `python -m flashvsr.worker.probing_child MEMORY PARENT`.

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
from flashvsr.files import trees
from flashvsr.video.allocations import bound_allocations, largest_block
from flashvsr.video.limits import Limits
from flashvsr.video.probe import SourceInfo, probe
from flashvsr.video.scan import examine
from flashvsr.worker.lifeline import die_with
from flashvsr.worker.plain import from_plain, to_plain

SIGN_SECONDS = 0.1
MUCH = 0.1  # of its memory, where files before have left it taken
FIRST_CPU_SECONDS, BYTES_PER_CPU_SECOND = 600, 10 << 20  # per request, beside each other
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
    own = _own_bytes()
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (own + memory, own + memory))
    _say(answers, {"ready": True})
    for line in sys.stdin:
        burdened = _own_bytes() - own > memory * MUCH
        told = _answer(json.loads(line), answers)
        _say(answers, {**told, "burdened": burdened} if told.get("error") == MEMORY else told)
    return 0


def _answer(request: dict[str, Any], answers: TextIO) -> dict[str, Any]:
    next_sign = 0.0

    def sign() -> None:
        nonlocal next_sign
        now = time.monotonic()
        if now >= next_sign:
            next_sign = now + SIGN_SECONDS
            _say(answers, {"working": True})

    try:
        trees.guard(map(Path, request["roots"]))
        _allow_cpu(int(request["size"]))
        if request["what"] == "probe":
            limits = from_plain(Limits, request["limits"])
            bound_allocations(largest_block(limits.side**2))
            return {"answer": to_plain(probe(Path(request["path"]), limits, sign))}
        return {"answer": to_plain(examine(from_plain(SourceInfo, request["info"]), sign))}
    except (BadInput, Transient) as error:
        if _is_for_memory(error):
            return {"error": MEMORY}
        return {"error": BAD_INPUT if isinstance(error, BadInput) else TRANSIENT, "message": str(error)}
    except Exception as error:
        if _is_for_memory(error):
            return {"error": MEMORY}
        sys.excepthook(type(error), error, error.__traceback__)
        return {"error": INTERNAL, "message": f"{type(error).__name__}: {error}"[:1000]}


def _is_for_memory(error: BaseException) -> bool:
    """Whether there was not enough of it; FFmpeg's own error is a MemoryError, too."""
    if isinstance(error, MemoryError):
        return True
    cause = error.__cause__ or error.__context__
    return cause is not None and _is_for_memory(cause)


def _allow_cpu(size: int) -> None:
    """Have the kernel end this process when it computes for much too long on a file of that size."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (used + FIRST_CPU_SECONDS + size // BYTES_PER_CPU_SECOND, hard))


def _own_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _say(answers: TextIO, words: dict[str, Any]) -> None:
    answers.write(json.dumps(words) + "\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
