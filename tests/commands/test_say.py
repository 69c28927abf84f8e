"""What commands print, and that none prints around it."""

from __future__ import annotations

import ast
import io
import json
import logging
import sys
from pathlib import Path

import pytest

from flashvsr.commands import say
from kits.nasty import TEXTS, is_safe
from kits.paths import PACKAGE as ROOT

# `logs` has a way of its own to the journal, `modelscope_child` speaks JSON to its parent; nobody runs `training` as a
# command of the product.
ALLOWED = {"commands/say.py", "system/logs.py", "weights/modelscope_child.py", "commands/screen.py"}
ALLOWED |= {"commands/watching.py"}  # on a `Screen`
ALLOWED |= {"settings/carry_over.py"}  # to the installer, about a file of the administrator's
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}
KINDS = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


@KINDS
def test_a_message_is_visible_lines_and_none_of_them_forged(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say.say(f"file {text}")
    say.complain(f"{text}")
    shown = capsys.readouterr()
    for lines in (shown.out.splitlines(), shown.err.splitlines()):
        assert all(map(is_safe, lines))
        assert all(line.startswith("  ") for line in lines[1:])
    assert shown.out.startswith("file ")
    assert shown.err.startswith("flashvsr: ")


@KINDS
def test_lines_of_a_table_stay_as_many(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say.say_lines(["a", text, "  b"])
    first, middle, last = capsys.readouterr().out.splitlines()
    assert (first, last) == ("a", "  b")
    assert is_safe(middle)


@KINDS
def test_json_is_ascii_that_every_reader_takes(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say.say_json({text: [text, {"n": 1, "none": None}]})
    shown = capsys.readouterr().out
    assert shown.isascii()
    ((key, (value, rest)),) = json.loads(shown).items()
    assert key == value
    assert rest == {"n": 1, "none": None}
    value.encode("utf-8")


def test_the_longest_path_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    path = "\\xff" * 4096
    say.say(path)
    assert capsys.readouterr().out == path + "\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_encoding_of_a_terminal_ends_a_command(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding))
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(io.BytesIO(), encoding))
    say.prepare()
    say.say("東京 \udce9")
    assert raw.getvalue().decode(encoding).rstrip() == ("東京" if encoding == "utf-8" else r"\u6771\u4eac") + r" \xe9"


def test_warnings_that_a_command_logs_take_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    say.prepare()
    assert logging.lastResort is not None
    record = logging.LogRecord("x", logging.WARNING, "f", 1, "lost %s", ("a\n\x1b[2Jb",), None)
    logging.lastResort.handle(record)
    assert capsys.readouterr().err == "flashvsr: lost a\\n\\x1b[2Jb\n"


def test_a_traceback_is_visible_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.excepthook", sys.excepthook)
    say.prepare()
    error = ValueError("a\x1b[2J\u202eb")
    sys.excepthook(ValueError, error, None)
    assert capsys.readouterr().err == "ValueError: a\\x1b[2J\\u202eb\n"


def prints_around(source: str) -> list[int]:
    """Lines that write to a stream of the process, or have rich do it."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="print")):
                found.append(node.lineno)
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr=stream), attr="write")) if stream in STREAMS:
                found.append(node.lineno)
            case ast.ImportFrom(module="rich" | "rich.console" | "rich.live", names=names):
                found += [node.lineno for alias in names if alias.name in ("print", "Console", "Live", "get_console")]
    return found


@pytest.mark.parametrize(
    "file",
    [
        file
        for file in sorted(ROOT.rglob("*.py"))
        if str(file.relative_to(ROOT)) not in ALLOWED and "training" not in file.parts
    ],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_nothing_is_printed_around_it(file: Path) -> None:
    assert not prints_around(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "print(name)",
        "def f():\n    print(name, file=sys.stderr)",
        "import sys\nsys.stdout.write(name)",
        "from rich.console import Console\nConsole().print(name)",
        "from rich import print",
    ],
)
def test_printing_around_it_is_found(source: str) -> None:
    assert prints_around(source)
