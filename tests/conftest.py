from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# For work so small, threads wait for each other, and there are processes enough. NumPy reads this once, when it is
# imported; processes that tests start inherit it.
os.environ["OMP_NUM_THREADS"] = "1"

gc.disable()  # until all is imported and collected

import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

from flashvsr.jobs.queue import Queue
from flashvsr.system.priority import ordinary_priority
from kits.mounts import MakeMount, mounts
from kits.paths import TESTS

torch.set_num_threads(1)
if not torch.cuda.is_available():  # then Triton's interpreter runs the kernels on the CPU
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton and the kernels are imported

PROCESSES = 4  # for two cores: many tests wait, for a service or for a disk

# What shares something that is dear to make, so that one process runs all of it. Folders or modules.
TOGETHER = (
    "systemd",
    "e2e/test_inboxes.py",
    "kernels/test_other_cards.py",
    "training/test_nano.py",
    "upscaling/test_resume.py",
    "upscaling/test_resumed_file.py",
)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Some processes for many tests, none for tests that are named one by one: they would only wait for the others."""
    named = config.args_source is pytest.Config.ArgsSource.ARGS and all("::" in argument for argument in config.args)
    return 0 if named else PROCESSES


class Together(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out tests one by one, but for those that share something. xdist's own groups do nothing with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.partition("::")[0])
        return next((name for name in TOGETHER if path.is_relative_to(Path(TESTS.name, name))), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return Together(config, log)


def pytest_collection_finish() -> None:
    """Thousands of tests and all that they import stay to the end: nobody need look through them for garbage."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _ordinary_priority() -> Iterator[None]:
    """Tests open SVT-AV1 themselves, too: run as root, they would stop all others."""
    with ordinary_priority():
        yield


@pytest.fixture
def device() -> torch.device:
    """Where kernels and their plain forms compute."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    queue = Queue(tmp_path / "state")
    yield queue
    queue.close()


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that other accounts reach, as no directory of pytest's: it shuts the way to them again and again."""
    made = Path(tempfile.mkdtemp(prefix="flashvsr-tests-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def mount() -> Iterator[MakeMount]:
    """`mount(point, size)`: a file system of its own, in memory; see `kits.mounts`."""
    yield from mounts()


@pytest.fixture
def small_disk(tmp_path: Path, mount: MakeMount) -> Path:
    """A file system of one megabyte."""
    return mount(tmp_path / "small disk", "1m").point
