"""How large the tiles are that a device's programs work on."""

from __future__ import annotations

from functools import cache

import torch

# From Hopper on tensor cores read tiles out of shared memory, which has 227 KB for a program there, and the copy engine
# fills it. Before that tiles pass through registers. So they do in what is called Blackwell for people (12.x), whose
# programs have 99 KB.
FIRST, BEYOND = (9, 0), (12, 0)
HOPPER = 9  # its first number
OLDEST = (8, 0)  # that the kernels are written for


def capability_of(device: torch.device) -> tuple[int, int]:
    """The compute capability; that of a Hopper where Triton's interpreter computes."""
    if device.type != "cuda":
        return FIRST
    # With ROCm the numbers mean other chips: an MI300 says 9.4.
    return OLDEST if torch.version.hip else torch.cuda.get_device_capability(device)


@cache
def takes_large_tiles(device: torch.device) -> bool:
    """Whether large tiles fit; else smaller ones that pass through registers."""
    return FIRST <= capability_of(device) < BEYOND
