"""What the `flashvsr` command says when it cannot do what it is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flashvsr.cli import EX_CONFIG


@pytest.mark.parametrize("journal", [False, True])
def test_wrong_settings_are_errors_in_the_journal(tmp_path: Path, journal: bool) -> None:
    config = tmp_path / "flashvsr.toml"
    config.write_text("[wacth]\n[watch]\nobserver = 'never'\n")
    with (tmp_path / "stderr").open("w+") as stderr:
        # systemd names the journal's socket by device and inode; here that is a file.
        identity = os.fstat(stderr.fileno())
        stream = f"{identity.st_dev}:{identity.st_ino}" if journal else ""
        done = subprocess.run(
            [sys.executable, "-m", "flashvsr", "run", "--config", config],
            stderr=stderr,
            env={**os.environ, "JOURNAL_STREAM": stream},
        )
        stderr.seek(0)
        said = stderr.read().splitlines()
    assert done.returncode == EX_CONFIG
    assert len(said) >= 2
    assert all(line.startswith("<3>") for line in said) == journal
