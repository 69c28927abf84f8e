"""What the `flashvsr` command says when it cannot do what it is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flashvsr.cli import EX_CONFIG
from flashvsr.settings.config import load_config
from kits.commands import called


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


@pytest.mark.parametrize(
    "arguments",
    [
        ("--config", "", "status"),
        ("status", "--config", ""),
        ("demo", "--output", ""),
        ("upscale", "", "out.mp4"),
        ("upscale", "in.mp4", ""),
        ("upscale", "in.mp4", "out.mp4", "--preset", ""),
        ("bench", "quality", "in.mp4", ""),
        ("bench", "quality", "in.mp4", "--weights", ""),
        ("bench", "quality", "in.mp4", "--out", ""),
        ("bench", "quality", "in.mp4", "--json", ""),
        ("bench", "speed", "--weights", ""),
        ("bench", "speed", "--output", ""),
    ],
)
def test_an_empty_path_is_not_the_current_directory(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    end = called(capsys, *arguments)
    assert end.returncode == 2
    assert end.stderr.rstrip().endswith("it is empty; give a path")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "variable", ["FLASHVSR_CONFIG", "FLASHVSR_MODEL_PATH", "FLASHVSR_PROMPT_TENSOR_PATH", "FFMPEG_BINARY"]
)
def test_an_empty_variable_counts_as_not_set(variable: str) -> None:
    assert load_config(environ={variable: ""}) == load_config(environ={})
