"""What root asks of the service is done as the service's account, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flashvsr.errors import BadConfig
from flashvsr.model.weight_files import REQUIRED_FILES
from flashvsr.system import account
from flashvsr.weights.choice import fetch
from kits.accounts import NOBODY, as_nobody, run_in_reach
from kits.modelscope_server import serve

EX_CONFIG = 78

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="acts as root and as another account")


@pytest.fixture
def config(open_path: Path) -> Path:
    """Settings whose state directory belongs to another account, as after `systemd/install`."""
    for name in ("state", "inbox", "outbox"):
        (open_path / name).mkdir(mode=0o700)
        os.chown(open_path / name, NOBODY, NOBODY)
    file = open_path / "flashvsr.toml"
    file.write_text(
        "[paths]\ninbox = 'inbox'\noutbox = 'outbox'\nstate = 'state'\nmodels = 'state/models'\n"
        "[gpu]\ndevices = 'cpu'\n"
    )
    return file


def flashvsr(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_in_reach(sys.executable, "-m", "flashvsr", *arguments, **environment)


def owners(directory: Path) -> dict[str, int]:
    return {str(path.relative_to(directory)): path.lstat().st_uid for path in directory.rglob("*")}


def test_what_root_fetches_is_the_services(config: Path) -> None:
    content = {name: name.encode() for name in REQUIRED_FILES}
    with serve(content) as server:
        done = flashvsr("weights", "fetch", "--config", config, MODELSCOPE_ENDPOINT=server.endpoint)
    assert done.returncode == 0, done.stderr
    made = owners(config.parent / "state")
    assert {Path(name).name for name in made} >= set(REQUIRED_FILES)
    assert set(made.values()) == {NOBODY}, made


@pytest.mark.slow
def test_what_the_other_commands_leave_is_the_services(config: Path) -> None:
    make_queue = (
        f"from pathlib import Path; from flashvsr.jobs.queue import Queue; Queue(Path({str(config.parent)!r}, 'state'))"
    )
    made = as_nobody(sys.executable, "-c", make_queue)
    assert made.returncode == 0, made.stderr
    commands = (
        ("status",),
        ("check",),
        ("retry", "1"),
        ("cancel", "1"),
        ("first", "1"),
        ("redo", "1"),
        ("pause",),
        ("resume",),
    )
    for command in commands:
        done = flashvsr(*command, "--config", config)
        assert "Traceback" not in done.stderr
        assert set(owners(config.parent / "state").values()) == {NOBODY}, command


def test_root_does_not_run_the_service_in_the_directories_of_another(config: Path) -> None:
    done = flashvsr("run", "--config", config)
    assert done.returncode == EX_CONFIG
    assert f"runuser -u nobody -- flashvsr run --config {config}" in done.stderr
    assert owners(config.parent / "state") == {}


def test_nor_fetches_weights_on_the_way(config: Path) -> None:
    """`flashvsr upscale` writes where root wants it, so it stays root; it may not fetch then."""
    with pytest.raises(BadConfig, match=r"runuser -u nobody -- flashvsr weights fetch"):
        fetch(config.parent / "state" / "models", print)
    assert owners(config.parent / "state") == {}


def test_root_stays_root_in_its_own_directories(tmp_path: Path) -> None:
    account.become_owner(tmp_path)
    account.refuse_as_root(tmp_path, ("run",))
    assert os.geteuid() == 0


def test_an_account_without_a_name_is_a_number(tmp_path: Path) -> None:
    os.chown(tmp_path, 54321, 54321)
    with pytest.raises(BadConfig, match="belongs to #54321"):
        account.refuse_as_root(tmp_path, ("weights", "fetch"))
