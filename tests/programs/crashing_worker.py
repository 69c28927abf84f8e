"""Real workers that kill themselves at a named moment. One process loads torch and the model, then forks them.

So is the process that examines sources: starting Python anew would take it most of its time.

Reads a line of JSON for each worker from standard input: the worker's arguments, its log, where to note the chunks it
makes durable, whether it uses the model (else each frame goes through the model's schedule as it is), and the moment: a
function as "module:name", the number of the call, before or after it; with an `error`, that call fails so instead;
with `renames`, pairs of paths, these are renamed then and the worker goes on; `number`: the signal, if not SIGKILL.
Answers with a line: the wait status of the worker. A worker that lives leaves when it finds nothing more to do.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from flashvsr.model.network import FlashVSR
from flashvsr.model.spec import StreamSpec
from flashvsr.model.stages import Stages
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Model
from flashvsr.upscaling import engine as engine_module
from flashvsr.upscaling import entry, prober, probing_child
from flashvsr.video.chunks import ChunkWriter
from flashvsr.worker import sweep
from flashvsr.worker.__main__ import main
from flashvsr.worker.loop import WorkerLoop


class Passing:
    """A stage that does nothing."""

    device = torch.device("cpu")

    def start(self, frame: torch.Tensor) -> None:
        pass

    def upload(self, noise: torch.Tensor) -> torch.Tensor:
        return noise

    def __call__(self, given: torch.Tensor, *_: Any) -> tuple[torch.Tensor]:
        return (given,)


def passing_stages(model: FlashVSR, spec: StreamSpec, _offload_cache: bool = False) -> Stages:
    """No model for the model's schedule: it takes most of the time."""
    nothing: Any = Passing()
    head: Any = lambda hidden, noise: noise  # noqa: E731
    decode: Any = lambda latents, condition: iter([condition])  # noqa: E731
    head.device = decode.device = Passing.device
    return Stages(spec, model.dtype, nothing, nothing, (), head, decode, lambda frames, condition: frames)


undo: list[Callable[[], None]] = []  # what `kill_at` changed in this process


class ForkedChild:
    """Looks like the `Popen` of the process that examines sources. It is forked from the worker, and does the same."""

    def __init__(self, command: Sequence[str], **_: Any) -> None:
        (requests, asking), (answering, answers) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            for ours in (asking, answering):
                os.close(ours)  # or it would never hear that nobody asks any more
            os.dup2(requests, 0)
            os.dup2(answers, 1)
            sys.stdin = os.fdopen(0)
            for put_back in undo:
                put_back()
            os._exit(probing_child.main(list(command[3:])))
        os.close(requests)
        os.close(answers)
        self.stdin, self.stdout = os.fdopen(asking, "wb", 0), os.fdopen(answering, "rb", 0)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def serve() -> None:
    torch.set_num_threads(1)  # a pool of threads would not survive the fork
    real = entry.load()
    engine = real.load_engine(Config(model=Model(weights="nano")), lambda message: None)
    entry.load = lambda: replace(real, load_engine=lambda config, on_message: engine)
    setattr(prober, "subprocess", SimpleNamespace(Popen=ForkedChild, PIPE=subprocess.PIPE))  # noqa: B010
    sweep.SETTLE_AFTER = 0.0  # what an earlier worker left undone is known to be left
    gc.freeze()  # or each worker would copy the pages of all that is loaded here, to look for garbage in it
    for line in sys.stdin:
        request = json.loads(line)
        worker = os.fork()
        if worker == 0:
            work(request)
        print(os.waitpid(worker, 0)[1], flush=True)


def work(request: dict[str, Any]) -> None:
    """Be a worker. Never returns."""
    os.dup2(os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), sys.stderr.fileno())
    note_chunks(Path(request["notes"]))
    leave_when_idle()
    if not request["model"]:
        setattr(engine_module, "plain_stages", passing_stages)  # noqa: B010
    if request["moment"]:
        kill_at(**request["moment"])
    os._exit(main([*request["arguments"], "--parent", str(os.getppid())]))


def note_chunks(notes: Path) -> None:
    """Write down the first frame of every chunk that is about to be closed."""
    close = ChunkWriter.close

    def noted(writer: ChunkWriter) -> Any:
        with notes.open("a") as file:
            file.write(f"{writer.first}\n")
        return close(writer)

    setattr(ChunkWriter, "close", noted)  # noqa: B010


def leave_when_idle() -> None:
    step = WorkerLoop.step

    def last(loop: WorkerLoop) -> bool:
        if not step(loop):
            os._exit(0)
        return True

    setattr(WorkerLoop, "step", last)  # noqa: B010


def kill_at(
    function: str,
    call: int,
    after: bool,
    error: int = 0,
    renames: Sequence[Sequence[str]] = (),
    number: int = signal.SIGKILL,
) -> None:
    """Send this process a signal before or after that call of a function; or let that call fail; or rename."""
    module, _, path = function.partition(":")
    *owners, name = path.split(".")
    owner = reduce(getattr, owners, importlib.import_module(module))
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def deadly(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and error:
            raise OSError(error, os.strerror(error))
        if calls == call and not after:
            happen()
        result = original(*arguments, **options)
        if calls == call and after and not error:
            happen()
        return result

    def happen() -> None:
        if not renames:
            os.kill(os.getpid(), number)
        for old, new in renames:
            Path(old).rename(new)

    setattr(owner, name, deadly)
    undo.append(lambda: setattr(owner, name, original))


if __name__ == "__main__":
    serve()
