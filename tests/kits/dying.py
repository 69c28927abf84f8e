"""Processes that are killed in the middle of some work, at each of its steps on the disk; and what these steps are."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

_STEPS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "sqlite3.connect"})


def killed_at(step: int, work: Callable[[], object], kind: str = "") -> bool:
    """Do the work in a process of its own that is killed before its step of this number; False if it got through.

    `kind`: count only steps whose name begins so, such as "rename".
    """
    left = step

    def count(event: str) -> None:
        nonlocal left
        left -= event.startswith(kind)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    status = _in_a_process(work, count)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the work failed, see above"
    return False


def steps_of(work: Callable[[], object], notes: Path) -> list[str]:
    """Do the work in a process of its own; its renames and what it brought to the disk, in order."""

    def note(event: str) -> None:
        if event.startswith(("rename", "fsync")):
            with os.fdopen(os.dup(file), "a", encoding="utf-8") as lines:
                lines.write(event + "\n")

    file = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        assert _in_a_process(work, note) == 0, "the work failed, see above"
    finally:
        os.close(file)
    return notes.read_text(encoding="utf-8").splitlines()


def _in_a_process(work: Callable[[], object], tell: Callable[[str], None]) -> int:
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:  # never back to the tests
        _watch(tell)
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _watch(tell: Callable[[str], None]) -> None:
    """From now on tell of each step on the disk before it is made."""
    fsync, telling = os.fsync, False

    def told(event: str) -> None:
        nonlocal telling
        if not telling:
            telling = True
            tell(event)
            telling = False

    def noted_fsync(descriptor: int) -> None:
        told(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.rename":
            told("rename " + " ".join(Path(str(path)).name for path in arguments[:2]))
        elif event in _STEPS:
            told(event)

    setattr(os, "fsync", noted_fsync)  # noqa: B010
    sys.addaudithook(hook)
