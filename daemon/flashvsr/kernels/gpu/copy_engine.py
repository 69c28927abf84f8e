"""Whether a device fetches whole tiles by itself."""

from __future__ import annotations

from functools import cache

import torch

WITH_COPY_ENGINE = (9, 0)


@cache
def fetches_tiles(device: torch.device) -> bool:
    """True from compute capability 9.0 on. Before it, tiles pass through registers, and smaller ones fit."""
    return device.type != "cuda" or torch.cuda.get_device_capability(device) >= WITH_COPY_ENGINE
