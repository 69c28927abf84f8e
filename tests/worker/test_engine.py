"""What number format an engine computes in."""

from __future__ import annotations

import pytest
import torch

from flashvsr import weights
from flashvsr.worker import engine


@pytest.mark.parametrize(
    ("device", "capability", "name", "expected"),
    [
        ("cuda:0", (9, 0), weights.OFFICIAL, torch.bfloat16),
        ("cuda:0", (8, 0), "a folder", torch.bfloat16),
        ("cuda:0", (7, 5), weights.OFFICIAL, torch.float32),
        ("cuda:0", (9, 0), weights.NANO, torch.float32),
        ("cpu", (0, 0), weights.NANO, torch.float32),
    ],
)
def test_bfloat16_is_for_large_models_on_gpus_that_have_it(
    monkeypatch: pytest.MonkeyPatch, device: str, capability: tuple[int, int], name: str, expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert engine._dtype(torch.device(device), name) == expected
