"""The settings of real services, which the soak uses as well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flashvsr.settings.config import Config, load_config
from kits.real_service import RealService
from measure.soak.processes import ATTEMPTS, CHUNK, Processes


def settings(root: Path) -> Config:
    """Those of a service below `root`, without what tells of the place."""
    config = load_config(root / "flashvsr.toml", {})
    assert {path.parent for path in (config.paths.inbox, config.paths.outbox, config.paths.state)} == {root}
    return replace(config, paths=Config().paths, origin=None)


def test_the_soak_has_the_settings_of_other_services_but_for_what_it_is_about(tmp_path: Path) -> None:
    RealService(tmp_path / "service", chunk=CHUNK)
    Processes(tmp_path / "soak")
    usual, soak = settings(tmp_path / "service"), settings(tmp_path / "soak")
    assert usual.queue.max_attempts == Config().queue.max_attempts != ATTEMPTS
    assert soak == replace(usual, queue=replace(usual.queue, max_attempts=ATTEMPTS))
    assert (soak.chunks.size, soak.gpu.devices, soak.model.weights) == (CHUNK, "cpu", "nano")
