"""Downloading weights from ModelScope, in a process of its own.

ModelScope's client brings torch, threads, progress bars and a logging setup of its own, and retries for
minutes before it listens to anybody. As a child process it keeps all that to itself, and it can be ended at
any moment: what it wrote so far stays, and the next download goes on there.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from flashvsr.errors import BadConfig, FlashVSRError, Transient
from flashvsr.files.advice import DENIED, IN_THE_WAY, reason

log = logging.getLogger(__name__)

MODEL_ID = "kuohao/FlashVSR-v1.1"
PAGE = f"https://www.modelscope.cn/models/{MODEL_ID}/files"
COMMAND = (sys.executable, "-m", "flashvsr.weights.modelscope_child")
WORK_FOLDER = ".fetch"  # below the models directory: our lock and the client's own files
INTERVAL_SECONDS = 0.5
STDERR_TAIL = 2000  # bytes of a broken client's last words worth showing

# How the child names what went wrong.
NETWORK, SERVER, DAMAGED, STORAGE = "network", "server", "damaged", "storage"


@dataclass(frozen=True)
class Progress:
    """How far a download is. `file` is empty while connecting, or waiting for another process, and when the amount of
    all files together becomes known: `total_bytes` then.
    """

    file: str
    done_bytes: int
    total_bytes: int

    def __str__(self) -> str:
        if not self.file:
            amount = f", {_amount(self.total_bytes)} to come" if self.total_bytes else ""
            return f"fetching the weights from ModelScope ({MODEL_ID}){amount}"
        share = 100 * self.done_bytes // self.total_bytes if self.total_bytes else 0
        return f"fetching {self.file}: {share} % of {self.total_bytes / 1e6:.0f} MB"


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


OnProgress = Callable[[Progress], None]


def download(folder: Path, models: Path, missing: Callable[[], Sequence[str]], on_progress: OnProgress) -> None:
    """Download files of the official model into `folder`.

    Args:
        folder: where they go; created.
        models: the models directory; the lock lies there.
        missing: names the files to get, asked when no other process downloads here.
        on_progress: hears how it goes; what it raises ends the download and comes out here.

    Raises:
        Transient: it did not work now.
        BadConfig: the folder cannot be written.
    """
    work = models / WORK_FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        work.mkdir(exist_ok=True)
        lock = (work / "lock").open("w")
    except OSError as error:
        raise _storage_error(error.errno, error.strerror, folder) from error
    with lock, _alone(lock, folder, on_progress):
        names = missing()  # asked now: whoever had the lock before has been at it
        while names:
            before = _bytes_in(folder)
            try:
                _run_client(folder, work, names, on_progress)
                break
            except _Unreachable as error:
                # A weak line that brings something each time gets there in the end.
                if _bytes_in(folder) <= before:
                    raise
                log.warning("the download was cut off and goes on: %s", str(error).partition(";")[0])
    if left := [name for name in names if not (folder / name).is_file()]:
        raise Transient(f"ModelScope's {MODEL_ID} has no {', '.join(left)}; {_advice(folder, left)}")


class _Unreachable(Transient):
    """The line broke, not the server or the disk: worth another try at once if anything came through."""


@contextmanager
def _alone(lock: IO[str], folder: Path, on_progress: OnProgress) -> Iterator[None]:
    """Hold the lock; the kernel takes it back from a process that dies."""
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            on_progress(Progress("", 0, 0))
            time.sleep(INTERVAL_SECONDS)
        except OSError as error:  # a share without locks
            raise _storage_error(error.errno, error.strerror, folder) from error
    yield


def _run_client(folder: Path, work: Path, names: Sequence[str], on_progress: OnProgress) -> None:
    """Run the client until it is done. It ends with this process: its standard input is closed then."""
    with tempfile.TemporaryFile() as stderr:
        child = subprocess.Popen(
            [*COMMAND, MODEL_ID, str(folder), str(INTERVAL_SECONDS), *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=_environment(work),
            text=True,
        )
        with child:
            try:
                assert child.stdout is not None
                failure = _listen(child.stdout, on_progress)
            except BaseException:
                child.kill()
                raise
        if failure is not None:
            raise _error(failure, folder, names)
        if child.returncode != 0:
            stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - STDERR_TAIL))
            words = stderr.read().decode(errors="replace").strip().splitlines() or ["no message"]
            ending = f"ModelScope's client ended with code {child.returncode}: {words[-1]}"
            raise Transient(f"{ending}; {_advice(folder, names)}")


def _listen(lines: IO[str], on_progress: OnProgress) -> dict[str, Any] | None:
    """Hand on what the client says, one JSON object a line; its failure, if it has one, is the last."""
    for line in lines:
        said = json.loads(line)
        if "failure" in said:
            failure: dict[str, Any] = said["failure"]
            return failure
        on_progress(Progress(said["file"], said["done"], said["total"]))
    return None


def _environment(work: Path) -> dict[str, str]:
    """The client's environment: quiet, and its own files beside the models (a service may have no home)."""
    return os.environ | {
        "MODELSCOPE_CACHE": str(work),
        "MODELSCOPE_HOME": str(work),
        "MODELSCOPE_LOG_LEVEL": "40",
        "TQDM_DISABLE": "1",
    }


def _error(failure: dict[str, Any], folder: Path, names: Sequence[str]) -> FlashVSRError:
    kind, text = failure["kind"], failure["text"]
    if kind == STORAGE:
        return _storage_error(failure["errno"], text, folder)
    if kind == NETWORK:
        return _Unreachable(f"no connection to {_server()}: {text}; {_advice(folder, names)}")
    if kind == DAMAGED:
        return Transient(f"what {_server()} sent is not what it announced: {text}; {_advice(folder, names)}")
    return Transient(f"{_server()} answered with an error: {text}; {_advice(folder, names)}")


def _storage_error(number: int | None, text: str | None, folder: Path) -> FlashVSRError:
    told = f"{folder}: {reason('write', folder, OSError(number, text))}, or set paths.models"
    if number in DENIED | IN_THE_WAY:
        return BadConfig(told)
    return Transient(f"{told}; what has arrived is kept")


def _advice(folder: Path, names: Sequence[str]) -> str:
    by_hand = f"copy {', '.join(names)} from {PAGE} to {folder} by hand"
    return f"try again later, what has arrived is kept; or {by_hand}"


def _server() -> str:
    endpoint = os.environ.get("MODELSCOPE_ENDPOINT") or os.environ.get("MODELSCOPE_DOMAIN")
    return f"ModelScope ({endpoint})" if endpoint else "ModelScope"


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
