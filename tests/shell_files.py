"""What shells and `man` know of the command, made of the declarations in `flashvsr.cli`.

These are the files of daemon/flashvsr/assets/shell; `python tests/generated.py` writes them.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Any

import shtab

from flashvsr import cli
from flashvsr.commands.completion import FILES, FOLDER
from flashvsr.settings.service_tables import Paths
from flashvsr.system.version import VERSION

MAN_PAGE = "flashvsr.1"
_DIRECTORIES = frozenset({"DIR", "FOLDER", "WEIGHTS"})
_FILES = frozenset({"FILE", "IN", "OUT", "FILE.json"})
_HELP = "-h, --help"


def shell_files() -> dict[str, str]:
    """The text of each file, by its name."""
    completions = {name: _completion(shell) for shell, name in FILES.items()}
    return {**completions, MAN_PAGE: man_page(cli._parser())}


def renew() -> None:
    """Write all of them."""
    for name, text in shell_files().items():
        (FOLDER / name).write_text(text)


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its commands, in the order in which they are declared."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from parsers(command)


def _completion(shell: str) -> str:
    parser = cli._parser()
    for command in parsers(parser):
        for action in command._actions:
            kind = _kind(action)
            if kind is not None:
                action.complete = kind  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell)).rstrip("\n") + "\n"


def _kind(action: argparse.Action) -> Any:
    """What shtab completes an argument with, where that is a file."""
    if action.metavar in _DIRECTORIES:
        return shtab.DIRECTORY
    return shtab.FILE if action.metavar in _FILES else None


def man_page(parser: argparse.ArgumentParser) -> str:
    """The page in troff."""
    paths = Paths()
    lines = [
        f'.TH FLASHVSR 1 "" "flashvsr {VERSION}" "User Commands"',
        ".SH NAME",
        _text("flashvsr - makes the videos in watched folders larger and clearer"),
        ".SH SYNOPSIS",
        _synopsis(parser),
        ".SH DESCRIPTION",
        _text(parser.description or ""),
        ".SH OPTIONS",
        *_arguments(parser),
        ".SH COMMANDS",
    ]
    for command in [*parsers(parser)][1:]:
        if not any(isinstance(action, argparse._SubParsersAction) for action in command._actions):
            lines += [f".SS {_text(command.prog)}", _synopsis(command), ".PP", _text(command.description or "")]
            lines += _arguments(command)
    lines += [".SH FILES"]
    for path, what in (
        ("/etc/flashvsr/flashvsr.toml", "settings; each option is in it, with what it means"),
        (f"{paths.inbox}", "folders that are watched; a folder in it is an inbox with a preset of its own"),
        (f"{paths.outbox}", "results, and a text beside the place of each that failed"),
        ("preset.toml", "in each inbox: what happens to its videos"),
        (f"{paths.state}", "queue, finished pieces of videos, archived sources, weights"),
    ):
        lines += [".TP", f"\\fI{_text(path)}\\fR", _text(what)]
    lines += [".SH ENVIRONMENT", ".TP", "\\fBFLASHVSR_CONFIG\\fR", "the settings file, where \\-\\-config names none"]
    lines += [".PP", _text("Further variables override single settings; flashvsr.toml names them.")]
    lines += [".SH EXIT STATUS"]
    for code, meaning in re.findall(r"(\d+) ([^,.]+)", parser.epilog or ""):
        lines += [".TP", f"\\fB{code}\\fR", _text(meaning)]
    lines += [".SH SEE ALSO", ".BR systemctl (1),", ".BR journalctl (1)"]
    return "\n".join(lines) + "\n"


def _synopsis(parser: argparse.ArgumentParser) -> str:
    words = [f"\\fB{_text(parser.prog)}\\fR", "[\\fIOPTION\\fR]..."]
    for action in parser._actions:
        if not action.option_strings:
            name = f"\\fI{_text(_placeholder(action))}\\fR"
            words.append({"?": f"[{name}]", "+": f"{name}..."}.get(str(action.nargs), name))
    return " ".join(words)


def _arguments(parser: argparse.ArgumentParser) -> list[str]:
    """The options and places of one command; --config and --help only of the first one, which has them for all."""
    lines: list[str] = []
    formatter: Any = parser._get_formatter()
    for action in parser._actions:
        names = ", ".join(action.option_strings)
        repeated = " " in parser.prog and names in (_HELP, "--config")
        if isinstance(action, argparse._SubParsersAction) or repeated or not action.help:
            continue
        if not action.option_strings:
            head = f"\\fI{_text(_placeholder(action))}\\fR"
        else:
            head = f"\\fB{_text(names)}\\fR"
            if action.nargs != 0:
                head += f" \\fI{_text(_placeholder(action))}\\fR"
        lines += [".TP", head, _text(formatter._expand_help(action))]
    return lines


def _placeholder(action: argparse.Action) -> str:
    """What stands for an argument."""
    if action.metavar is None and action.choices is not None:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest)


def _text(text: str) -> str:
    """Words as troff takes them."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped
