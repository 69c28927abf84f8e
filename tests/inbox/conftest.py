from __future__ import annotations

from pathlib import Path

import pytest

from flashvsr.jobs.queue import Queue
from flashvsr.settings.config import Config
from flashvsr.settings.service_tables import ExtraInbox, Paths, Watch
from kits.inbox_world import POLL, SETTLE, World


@pytest.fixture
def world(tmp_path: Path, queue: Queue) -> World:
    root = tmp_path / "inbox"
    (root / "default").mkdir(parents=True)
    extra = tmp_path / "extra"
    config = Config(
        paths=Paths(inbox=root, outbox=tmp_path / "outbox", state=tmp_path / "state", models=tmp_path / "models"),
        watch=Watch(observer="poll", poll_seconds=POLL, settle_seconds=SETTLE),
        extra_inboxes=(ExtraInbox(path=extra, outbox=tmp_path / "extra-out"),),
    )
    extra.mkdir()
    return World(root, queue, config)
