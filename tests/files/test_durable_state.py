"""The service's own files: each is on the disk whole before it takes the place of the one before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.files.mounts import Mounts
from flashvsr.files.texts import write_new, write_replacing
from flashvsr.files.trees import NO_LINKS
from flashvsr.service.reload import keep_worker_config, write_worker_config
from flashvsr.settings.config import Config
from flashvsr.settings.service_tables import Paths
from flashvsr.status.service_file import ServiceFile
from kits.durable import Steps
from kits.snapshots import snapshot

MOUNTINFO = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / {0} rw - ext4 /dev/b rw\n"


def remember_mounts(state: Path) -> None:
    table = state.parent / "mountinfo"
    table.write_text(MOUNTINFO.format(state.parent))
    Mounts(state, NO_LINKS, table).check(state.parent / "inbox")


def keep_config_again(state: Path) -> None:
    """Of a file that somebody emptied."""
    (state / "worker.toml").write_text("")
    keep_worker_config(config_of(state))


def config_of(state: Path) -> Config:
    return Config(paths=Paths(state.parent / "inbox", state.parent / "outbox", state, state.parent / "models"))


WRITERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "any": ("text", lambda state: write_replacing(state / "text", "new")),
    "worker.toml": ("worker.toml", lambda state: write_worker_config(config_of(state))),
    "worker.toml again": ("worker.toml", keep_config_again),
    "mounts": ("mounts.json", remember_mounts),
    "service": ("service.json", lambda state: ServiceFile(state).keep(snapshot())),
}


@pytest.mark.parametrize(("name", "write"), WRITERS.values(), ids=WRITERS.keys())
@pytest.mark.parametrize("there", [False, True], ids=["new", "again"])
def test_a_file_of_the_service(
    name: str, write: Callable[[Path], object], there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    if there:
        (state / name).write_text("{}")
    steps = Steps(monkeypatch, tmp_path)
    write(state)
    written = ["sync state/.flashvsr.tmp", f"name state/.flashvsr.tmp -> state/{name}", "sync state/"]
    assert steps.taken == written


def test_a_preset_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, tmp_path)
    assert write_new(NO_LINKS, tmp_path / "preset.toml", "scale = 2.0\n")
    assert steps.taken == [
        "sync .flashvsr.tmp",
        "name .flashvsr.tmp -> preset.toml",
        "remove .flashvsr.tmp",
    ]
