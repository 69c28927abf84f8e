"""`check` and `status` asked by somebody who may not look into the service's directories."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from flashvsr.jobs.queue import Queue
from kits.accounts import as_nobody

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="acts as root and as another account")


@pytest.fixture
def config(open_path: Path) -> Path:
    for name in ("inbox/open", "inbox/closed", "outbox", "state"):
        (open_path / name).mkdir(parents=True)
    Queue(open_path / "state").close()
    (open_path / "inbox" / "closed" / "preset.toml").write_text("width = 960\n")
    for name in ("state", "inbox/closed"):
        (open_path / name).chmod(0o700)
    file = open_path / "flashvsr.toml"
    file.write_text("[paths]\ninbox = 'inbox'\noutbox = 'outbox'\nstate = 'state'\nmodels = 'state/models'\n")
    with file.open("a") as settings:
        settings.write("[gpu]\ndevices = 'cpu'\n")
    return file


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [("status",), ("status", "--json"), ("status", "1"), ("retry", "1"), ("cancel", "1")], ids=" ".join
)
def test_a_question_about_the_queue(config: Path, command: tuple[str, ...]) -> None:
    done = as_nobody(sys.executable, "-m", "flashvsr", *command, "--config", config)
    assert (done.returncode, done.stdout) == (1, "")
    queue = config.parent / "state" / "queue.db"
    said = f"cannot reach {queue}: Permission denied; run this as root, or as the service's account root\n"
    assert done.stderr == f"flashvsr: {said}"


@pytest.mark.slow
def test_check_names_what_it_could_not_look_at_and_goes_on(config: Path) -> None:
    done = as_nobody(sys.executable, "-m", "flashvsr", "check", "--config", config)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    for wanted in (
        "TODO  account: nobody is not the service's account, root: what follows is true for nobody. Run this as root",
        f"TODO  inbox {config.parent}/inbox/closed: cannot be read; give the service's user access",
        f"TODO  queue: cannot look at {config.parent}/state/queue.db: Permission denied; run this as root, or as the "
        "service's account",
    ):
        assert wanted in lines
    assert any(line.startswith(f"OK    inbox {config.parent}/inbox/open") for line in lines)
    assert any(line.startswith("OK    encoder h264") for line in lines), "what can be told is told"


@pytest.mark.slow
def test_check_names_a_state_directory_that_is_out_of_reach(config: Path) -> None:
    (config.parent / "state" / "inner").mkdir()
    config.write_text(config.read_text().replace("'state'", "'state/inner'"))
    done = as_nobody(sys.executable, "-m", "flashvsr", "check", "--config", config)
    assert (done.returncode, done.stderr) == (1, "")
    told = f"cannot look at {config.parent}/state/inner/queue.db: Permission denied"
    assert any(line.startswith(f"TODO  queue: {told}") for line in done.stdout.splitlines())


def test_settings_that_only_root_may_read(config: Path) -> None:
    config.chmod(0o600)
    done = as_nobody(sys.executable, "-m", "flashvsr", "check", "--config", config)
    assert done.returncode == 78
    assert "Permission denied; let the user that runs flashvsr read it" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_pause_that_somebody_else_may_not_ask_for(config: Path, command: str) -> None:
    done = as_nobody(sys.executable, "-m", "flashvsr", command, "--config", config)
    assert (done.returncode, done.stdout) == (1, "")
    state = config.parent / "state"
    said = f"cannot write to {state}: Permission denied; run this as root, or as the service's account root\n"
    assert done.stderr == f"flashvsr: {said}"
