"""`flashvsr completion SHELL`: the words that a shell completes. The files are made of the arguments' declarations."""

from __future__ import annotations

import argparse
from pathlib import Path

from flashvsr.commands.say import say_lines
from flashvsr.settings.config import Config

FOLDER = Path(__file__).parents[1] / "assets" / "shell"
FILES = {"bash": "flashvsr.bash", "zsh": "_flashvsr", "fish": "flashvsr.fish"}


def run(_config: Config, options: argparse.Namespace) -> int:
    """Print the file for one shell."""
    say_lines((FOLDER / FILES[options.shell]).read_text().splitlines())
    return 0
