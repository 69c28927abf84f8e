"""The `flashvsr` command called in this process: what loads PyTorch takes seconds to start as a process of its own."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from flashvsr.cli import main


@dataclass(frozen=True)
class Called:
    """What came of it."""

    returncode: int
    stdout: str
    stderr: str


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> Called:
    """Call it. What it would die of with a traceback comes out of here."""
    capsys.readouterr()
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as end:  # wrong usage
        code = int(end.code or 0)
    said = capsys.readouterr()
    return Called(code, said.out, said.err)
