"""The other side of `download`: `python -m flashvsr.weights.modelscope_child MODEL FOLDER SECONDS NAME...`.

Says on standard output, one JSON object a line, first how many bytes are to come in all, then every SECONDS what file
it is at, and at the end what went wrong, if anything did. Ends at once when its standard input closes: then nobody
listens any more.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

# The client takes PyTorch for missing then. It would load it, which takes seconds, only to ask about other processes.
sys.modules["torch"] = None  # type: ignore[assignment]

import requests  # noqa: E402
from modelscope.hub.api import HubApi  # noqa: E402
from modelscope.hub.callback import ProgressCallback  # noqa: E402
from modelscope.hub.errors import FileIntegrityError, NetworkError  # noqa: E402
from modelscope.hub.snapshot_download import snapshot_download  # noqa: E402

from flashvsr.weights.download import DAMAGED, NETWORK, SERVER, STORAGE  # noqa: E402

EXIT_ORPHANED = 3
LONGEST_TEXT = 300  # of what the client says


class _Stop(BaseException):
    """Ends the download from a callback. The client would take an Exception for a fault of the line."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(cause)
        self.cause = cause


class _Speaker:
    """Writes to standard output; shared by the threads."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {"file": "", "done": 0, "total": 0}

    def update(self, file: str, done: int, total: int) -> None:
        with self._lock:
            self._state = {"file": file, "done": done, "total": total}

    def say(self, words: dict[str, Any] | None = None) -> None:
        with self._lock:
            print(json.dumps(words or self._state), flush=True)

    def repeat(self, over: threading.Event) -> None:
        while not over.wait(self._seconds):
            self.say()


def main(arguments: list[str]) -> int:
    """Download and report; exit code 1 after a failure was reported."""
    model, folder, seconds, *names = arguments
    speaker, over = _Speaker(float(seconds)), threading.Event()
    speaker.say()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    repeater = threading.Thread(target=speaker.repeat, args=(over,))
    repeater.start()
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    failure = None
    try:
        speaker.say({"file": "", "done": 0, "total": _bytes_to_come(model, Path(folder), names)})
        # One file after the other: the big one takes nearly all the time anyway, and progress stays readable.
        snapshot_download(
            model,
            local_dir=folder,
            allow_patterns=names,
            max_workers=1,
            progress_callbacks=[_callback(speaker)],
        )
    except _Stop as stop:
        failure = _describe(stop.cause)
    except Exception as error:
        failure = _describe(error)
    finally:
        over.set()
        repeater.join()
    speaker.say({"failure": failure} if failure else None)
    return 1 if failure else 0


def _bytes_to_come(model: str, folder: Path, names: list[str]) -> int:
    """How much the files of these names have that is not here yet; raises _Stop where the disk has no room for it.

    A file of the right size counts as here: if its checksum then turns out wrong, it comes on top.
    """
    sizes = {file["Path"]: int(file["Size"] or 0) for file in HubApi().get_model_files(model)}
    to_come = sum(max(0, sizes.get(name, 0) - _bytes_here(folder / name)) for name in names)
    free = shutil.disk_usage(folder).free
    if to_come > free:
        raise _Stop(OSError(errno.ENOSPC, f"{to_come / 1e9:.2f} GB are to come, {free / 1e9:.2f} GB are free"))
    return to_come


def _bytes_here(file: Path) -> int:
    places = (file, file.with_name(f"{file.name}.incomplete"))
    return max((place.stat().st_size for place in places if place.exists()), default=0)


def _callback(speaker: _Speaker) -> type[ProgressCallback]:
    """The client makes one instance for each file."""

    class Callback(ProgressCallback):  # type: ignore[misc]
        def __init__(self, filename: str, file_size: int) -> None:
            super().__init__(filename, file_size)
            self.done = 0
            speaker.update(filename, 0, file_size)
            speaker.say()

        def update(self, size: int) -> None:
            self.done += size
            speaker.update(self.filename, self.done, self.file_size)

    return Callback


def _describe(error: BaseException) -> dict[str, Any]:
    """What went wrong, as `download` wants to hear it."""
    failed_files = getattr(error, "failed_files", None)
    if failed_files:
        file, cause = next(iter(failed_files.items()))
        described = _describe(cause)
        return described | {"text": f"{file}: {described['text']}"}
    text = _text(error)
    if isinstance(error, FileIntegrityError):
        return {"kind": DAMAGED, "text": text}
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    if isinstance(error, (NetworkError, requests.ConnectionError, requests.Timeout)):
        return {"kind": NETWORK, "text": text}
    if isinstance(error, OSError) and error.errno is not None:
        return {"kind": STORAGE, "errno": error.errno, "text": error.strerror or text}
    return {"kind": SERVER, "text": f"{text} (HTTP {status})" if status else text}


def _text(error: BaseException) -> str:
    """The one line of an error that tells something: layers of libraries have each put theirs around it."""
    text = (str(error).splitlines() or [""])[0]
    causes = re.findall(r"\[Errno -?\d+\] ([^'\")]+)", text)
    if causes:
        return str(causes[-1])
    if not text.isascii():  # the client writes some of its messages in Chinese
        return f"the connection broke ({type(error.__cause__ or error).__name__})"
    text = re.sub(r"^(\[E?\d+\] )+", "", text).partition(" | ")[0]
    return text[:LONGEST_TEXT] or type(error).__name__


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing is ever written; unbuffered, a buffer's lock would outlive main
    os._exit(EXIT_ORPHANED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
