"""The one way out for what commands print: every text becomes visible lines on its way to a terminal or a pipe.

Names come from shares, and from inside videos. Printed as they are they could clear the screen, forge a line, or end
the command for a byte that is no text. Tables and bars go through `flashvsr.commands.screen`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, TextIO

from flashvsr.errors import FlashVSRError
from flashvsr.system.text import PRINTED, PRINTED_LINE, visible, visible_lines


def prepare() -> None:
    """Let no character and no closed stream end a command.

    What the terminal's encoding lacks is printed as its escape. A stream that was closed takes what is written and
    loses it: otherwise the next file that is opened, the queue's database perhaps, would stand in its place.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - it stays open
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    sys.excepthook = _unexpected
    if logging.lastResort is not None:  # warnings that are logged below a command that keeps no log
        logging.lastResort.setFormatter(_Complaint())


def say(text: str = "") -> None:
    """Print one message on standard output. Its further lines are indented: none of them passes for a message."""
    _write(sys.stdout, _message(text))


def say_lines(lines: Iterable[str]) -> None:
    """Print lines that belong together, such as a table, on standard output. No name may bring line ends into them."""
    _write(sys.stdout, "\n".join(visible(line, PRINTED_LINE) for line in lines))


def say_json(value: Any) -> None:
    """Print JSON on standard output: ASCII, and without lone surrogates, which few programs would read."""
    _write(sys.stdout, json.dumps(_text(value), indent=2))


def say_json_line(value: Any) -> None:
    """Print JSON in one line, for a program that reads one after the other."""
    _write(sys.stdout, json.dumps(_text(value)))


def complain(text: str) -> None:
    """Print one message on standard error, with the name of the program. Where that is full, nobody can be told."""
    with suppress(FlashVSRError):
        _write(sys.stderr, _message(f"flashvsr: {text}"))


@contextmanager
def writing(stream: TextIO) -> Iterator[None]:
    """Turn the failure of an output into a FlashVSRError; BrokenPipeError, whose reader left, comes out as it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is left in the stream's buffer would fail again at the end of the process, with a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise FlashVSRError(f"the output cannot be written: {error.strerror or error}") from error


class _Complaint(logging.Formatter):
    """A log record as `complain` would print it."""

    def format(self, record: logging.LogRecord) -> str:
        return f"flashvsr: {visible(record.getMessage())}"


def _unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A traceback quotes names, too."""
    lines = "".join(traceback.format_exception(kind, error, trace)).rstrip("\n").split("\n")
    _write(sys.stderr, "\n".join(visible(line) for line in lines))


def _message(text: str) -> str:
    first, *others = visible_lines(text.split("\n"), PRINTED, PRINTED_LINE)
    return "\n".join([first, *(f"  {line.lstrip()}" for line in others)])


def _text(value: Any) -> Any:
    if isinstance(value, dict):
        return {_text(key): _text(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_text(item) for item in value]
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _write(stream: TextIO, text: str) -> None:
    with writing(stream):
        stream.write(text + "\n")
        stream.flush()
