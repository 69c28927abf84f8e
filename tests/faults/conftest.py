from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kits.crashes import FRAMES, Disk, Workers
from kits.videos import numbered, tone, write_video


@pytest.fixture(scope="session")  # it loads PyTorch
def workers() -> Iterator[Workers]:
    made = Workers()
    yield made
    made.close()


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_video(path, [numbered(number) for number in range(FRAMES)], audio=tone(FRAMES / 25))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount file systems")
    made = Disk(tmp_path)
    yield made
    made.end()
