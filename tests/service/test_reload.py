"""The settings as workers get them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.errors import BadConfig, Transient
from flashvsr.service.reload import keep_worker_config, read_again, write_worker_config
from flashvsr.settings.config import Config, load_config
from flashvsr.settings.service_tables import ExtraInbox
from kits.nasty import NAMES

EVERYTHING = """
[paths]
inbox = "in"
outbox = "out"
state = "state"
models = "models"
[watch]
observer = "poll"
settle_seconds = 0.25
[gpu]
devices = [0, "GPU-12"]
[model]
weights = "nano"
prompt = "prompt ü.pth"
[streaming]
lq_max_bytes = "512MB"
[queue]
stall_seconds = 12.5
[service]
stop_mode = "finish"
[[inbox]]
path = "elsewhere"
outbox = "results"
[[inbox]]
path = 'odd "name" \\ here'
outbox = "results 2"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "state").mkdir()
    (tmp_path / "flashvsr.toml").write_text(EVERYTHING)
    return load_config(tmp_path / "flashvsr.toml", {})


def test_workers_get_exactly_the_settings_of_the_service(config: Config) -> None:
    file = write_worker_config(config)
    assert replace(load_config(file, {}), origin=config.origin) == config
    assert file.parent == config.paths.state


def test_the_defaults_survive_too(tmp_path: Path) -> None:
    defaults = Config()
    config = replace(defaults, paths=replace(defaults.paths, state=tmp_path))
    assert replace(load_config(write_worker_config(config), {}), origin=None) == config


def test_a_full_disk_is_said(config: Config) -> None:
    missing = replace(config, paths=replace(config.paths, state=config.paths.state / "missing"))
    with pytest.raises(Transient, match=r"worker\.toml"):
        write_worker_config(missing)


def odd_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def odd_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(
    "spoil",
    [
        Path.unlink,
        odd_folder,
        odd_link,
        lambda path: path.write_text(""),
        lambda path: path.write_text(path.read_text() + "[queue"),
        lambda path: path.write_text(path.read_text().replace("12.5", "13.5")),
        lambda path: path.write_bytes(b"\xff" * 99),
        lambda path: path.write_bytes(b"#" * (2 << 20)),
    ],
)
def test_whatever_became_of_the_file_it_is_written_again_for_the_next_worker(
    config: Config, spoil: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    file = write_worker_config(config)
    spoil(file)
    keep_worker_config(config)
    assert "written again" in caplog.text
    assert replace(load_config(file, {}), origin=config.origin) == config
    before = file.stat().st_mtime_ns, file.stat().st_ino
    keep_worker_config(config)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before


def test_a_name_that_is_no_text_is_not_written_again_and_again(tmp_path: Path) -> None:
    defaults = Config()
    inbox = tmp_path / os.fsdecode(b"caf\xe9")
    config = replace(defaults, paths=replace(defaults.paths, state=tmp_path, inbox=inbox))
    file = write_worker_config(config)
    before = file.stat().st_ino
    keep_worker_config(config)
    assert file.stat().st_ino == before


def test_settings_that_no_worker_could_read_are_refused_before(config: Config) -> None:
    inboxes = tuple(ExtraInbox(Path("/", "d" * 250, str(n)), Path("/", "e" * 250, str(n))) for n in range(2000))
    with pytest.raises(BadConfig, match="1 MiB"):
        write_worker_config(replace(config, extra_inboxes=inboxes))


def test_tables_that_need_a_restart_are_kept_and_named(config: Config) -> None:
    assert config.origin is not None
    changed = EVERYTHING.replace("12.5", "99").replace('"out"', '"out2"')
    config.origin.write_text(changed)
    new, waiting = read_again(config)
    assert waiting == ("paths",)
    assert new.paths == config.paths
    assert new.queue.stall_seconds == 99

    config.origin.write_text(EVERYTHING)
    assert read_again(config) == (config, ())


def test_an_error_is_all_that_comes_out_of_a_wrong_file(config: Config) -> None:
    assert config.origin is not None
    config.origin.write_text(EVERYTHING.replace("12.5", "-1").replace('"poll"', '"pol"'))
    with pytest.raises(BadConfig, match=r"(?s)observer.*stall_seconds"):
        read_again(config)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_workers_get_paths_that_are_no_text(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    (root / "state").mkdir(parents=True)
    (root / "flashvsr.toml").write_text(EVERYTHING)
    config = load_config(root / "flashvsr.toml", {"FLASHVSR_MODEL_PATH": f"/weights/{name}"})
    assert (config.paths.inbox, config.model.weights) == (root / "in", f"/weights/{name}")
    file = write_worker_config(config)
    file.read_bytes().decode("utf-8")
    assert replace(load_config(file, {}), origin=config.origin) == config
