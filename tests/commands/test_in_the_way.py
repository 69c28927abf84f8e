"""A file where a directory has to be: each command says so, and not what would not help."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kits.commands import called

SETTINGS = '[paths]\ninbox = "inbox"\noutbox = "outbox"\nstate = "state/{below}"\nmodels = "models"\n'
OBSTACLES: dict[str, Callable[[Path], object]] = {
    "is no directory but a file; move it away": lambda path: path.write_text("something else"),
    "is a link that leads to no directory; mount what it leads to, remove it": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("kind", OBSTACLES)
@pytest.mark.parametrize("below", ["", "below/further"])
@pytest.mark.parametrize("command", ["status", "status 1", "status --json", "retry 1", "cancel 1", "check"])
def test_state(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, below: str, kind: str) -> None:
    settings = tmp_path / "flashvsr.toml"
    settings.write_text(SETTINGS.format(below=below))
    OBSTACLES[kind](tmp_path / "state")
    end = called(capsys, "--config", settings, *command.split())
    said = end.stdout + end.stderr
    assert end.returncode == 1
    assert f"{tmp_path / 'state'} {kind}, or " in said
    assert not any(text in said for text in ("start the service", "none yet", "Traceback"))


def test_inboxes_outboxes_and_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "flashvsr.toml"
    more = '[gpu]\ndevices = "cpu"\n[model]\nweights = "FlashVSR-v1.1"\n[[inbox]]\npath = "films"\noutbox = "large"\n'
    settings.write_text(SETTINGS.format(below="") + more)
    for name in ("inbox", "outbox", "models", "films", "large"):
        (tmp_path / name).write_text("something else")
    said = called(capsys, "--config", settings, "check").stdout
    for name, remedy in {
        "inbox": "set paths.inbox to another directory",
        "outbox": "name another directory",
        "models": "set paths.models to another directory",
        "films": "name another directory",
        "large": "name another directory",
    }.items():
        assert f"{tmp_path / name} is no directory but a file; move it away, or {remedy}" in said
