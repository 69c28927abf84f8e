"""Small models for the tests of `flashvsr.model`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from flashvsr.model.network import FlashVSR
from kits.golden_cases import formula_model
from kits.models import TINY, write_folder


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


@pytest.fixture(scope="session")
def tiny() -> FlashVSR:
    """A model with one head and two layers, its weights from the golden formula."""
    return formula_model(TINY)


@pytest.fixture(scope="session")
def tiny_half() -> FlashVSR:
    """The same in bfloat16."""
    return formula_model(TINY, dtype=torch.bfloat16)


@pytest.fixture(scope="session")
def sound_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("weights") / "tiny", TINY)


@pytest.fixture
def folder(sound_folder: Path, tmp_path: Path) -> Path:
    """A sound weights folder that a test may damage."""
    return Path(shutil.copytree(sound_folder, tmp_path / "weights"))
