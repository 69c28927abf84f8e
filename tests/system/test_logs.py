"""Log lines as people and journald get them."""

from __future__ import annotations

import io
import logging
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashvsr.system import logs
from flashvsr.system.text import LINE, MOST_LINES
from kits.nasty import TEXTS, is_safe


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Loggers are shared with all other tests."""
    ours, everyone = logging.getLogger(logs.ROOT), logging.getLogger()
    before = [(logger, logger.handlers[:], logger.propagate, logger.level) for logger in (ours, everyone)]
    yield
    for logger, handlers, propagate, level in before:
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture
def log() -> logging.Logger:
    return logging.getLogger("flashvsr.some.module")


def terminal(level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.setup(level, stream, {})
    return stream


class Journal:
    """A file that the environment says is the journal's."""

    def __init__(self, path: Path, level: str = "debug") -> None:
        self.path = path
        self.stream = path.open("w")
        status = os.fstat(self.stream.fileno())
        logs.setup(level, self.stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()


def test_warnings_of_libraries_look_the_same() -> None:
    terminal()
    stream = terminal()  # the one before is forgotten
    library = logging.getLogger("library.of.somebody")
    library.info("not shown")
    library.warning("lost \x1b[2J of %s", "a\nb")
    (line,) = stream.getvalue().splitlines()
    assert line.endswith(r" warning lost \x1b[2J of a\nb")


def test_times_and_levels_for_people(log: logging.Logger) -> None:
    stream = terminal()
    log.debug("not shown")
    log.info("hello %d", 3)
    log.warning("careful")
    first, second = stream.getvalue().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d info    hello 3", first)
    assert second.endswith(" warning careful")


def test_priorities_for_journald(log: logging.Logger, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        log.log(level, "text")
    assert journal.lines() == ["<7>text", "<6>text", "<4>text", "<3>text", "<2>text"]


def test_another_file_is_not_the_journal(tmp_path: Path) -> None:
    with (tmp_path / "a").open("w") as file:
        assert not logs.under_journald(file, {"JOURNAL_STREAM": "8:123456789"})
        assert not logs.under_journald(file, {"JOURNAL_STREAM": "nonsense"})
    assert not logs.under_journald(io.StringIO(), {"JOURNAL_STREAM": "8:1"})


def test_lines_carry_the_job_from_every_thread(log: logging.Logger) -> None:
    stream = terminal()
    with logs.job(12):
        thread = threading.Thread(target=log.info, args=("decoding",))
        thread.start()
        thread.join()
        with logs.job(13):
            log.info("inner")
        log.info("outer")
    log.info("none")
    log.info("by hand", extra={"job": 7})
    texts = [line.split("info    ")[1] for line in stream.getvalue().splitlines()]
    assert texts == ["job 12: decoding", "job 13: inner", "job 12: outer", "none", "job 7: by hand"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[2J\x00\x7f\x9b", "\\x1b[2J\\x00\\x7f\\u009b"),
        (os.fsdecode(b"caf\xe9.mp4"), "caf\\xe9.mp4"),
        ("evil\u202egpj.exe\u2028x", "evil\\u202egpj.exe\\u2028x"),
        ("Größe 映画 😀", "Größe 映画 😀"),
        ("\ud800", "\\ud800"),
    ],
)
def test_control_characters_are_written_out(log: logging.Logger, name: str, shown: str) -> None:
    stream = terminal()
    log.error("bad file %s", name)
    (line,) = stream.getvalue().splitlines()
    assert line.endswith(f"bad file {shown}")


def test_a_traceback_cannot_pass_for_other_lines(log: logging.Logger, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    try:
        raise ValueError("two\n<0>forged \x1b[31m")
    except ValueError:
        log.exception("it failed")
    lines = journal.lines()
    assert lines[0] == "<3>it failed"
    assert all(line.startswith("<3>  | ") for line in lines[1:])
    assert lines[-1] == "<3>  | <0>forged \\x1b[31m"


def test_messages_of_several_lines_become_several_records(log: logging.Logger) -> None:
    stream = terminal()
    logs.each_line(log, logging.ERROR, "2 problems:\n\n  a: wrong\n  b: wrong")
    assert [line.split("error   ")[1] for line in stream.getvalue().splitlines()] == [
        "2 problems:",
        "  a: wrong",
        "  b: wrong",
    ]


def test_a_narrow_encoding_loses_no_line(log: logging.Logger, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="ascii") as file:
        logs.setup("info", file, {})
        log.info("映画")
    assert "\\u6620\\u753b" in (tmp_path / "log").read_text()


def test_the_level_can_change_while_it_runs(log: logging.Logger) -> None:
    stream = terminal("error")
    log.info("before")
    logs.set_level("debug")
    log.debug("after")
    assert "before" not in stream.getvalue()
    assert "after" in stream.getvalue()


def test_setting_up_twice_logs_once(log: logging.Logger) -> None:
    terminal()
    stream = terminal()
    log.info("once")
    assert stream.getvalue().count("once") == 1


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_any_text_is_short_lines(log: logging.Logger, text: str) -> None:
    stream = terminal()
    log.error("bad file %s", text)
    many = f"{text}\n" * (1000 if len(text) < 1000 else 2)
    logs.each_line(log, logging.ERROR, many)
    try:
        raise ValueError(many)
    except ValueError:
        log.exception("failed")
    lines = stream.getvalue().splitlines()
    assert len(lines) <= 2 + 2 * MOST_LINES
    assert all(len(line) <= LINE + 100 and is_safe(line) for line in lines)
    assert [line for line in lines if "Traceback" in line]


def test_a_long_traceback_keeps_its_beginning_and_its_end(log: logging.Logger) -> None:
    stream = terminal()
    try:
        raise ValueError("\n".join(map(str, range(1000))))
    except ValueError:
        log.exception("failed")
    lines = stream.getvalue().splitlines()
    assert lines[1].endswith("  | Traceback (most recent call last):")
    assert lines[-1].endswith("  | 999")
    assert "lines …" in "".join(lines)
