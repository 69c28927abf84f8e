from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from flashvsr.files import trees
from flashvsr.jobs.queue import Queue

if not torch.cuda.is_available():  # then Triton's interpreter runs the kernels on the CPU
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton and the kernels are imported


@pytest.fixture(autouse=True)
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins as a process does that has not said where shares are: no link is followed anywhere."""
    monkeypatch.setattr(trees, "_roots", None)


@pytest.fixture
def device() -> torch.device:
    """Where kernels and their plain forms compute."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    queue = Queue(tmp_path / "state")
    yield queue
    queue.close()
