"""The kernels run natively on a GPU, and elsewhere on the CPU through Triton's interpreter."""

from __future__ import annotations

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton and the kernels are imported


@pytest.fixture
def device() -> torch.device:
    """Where the tensors of both forms are."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
