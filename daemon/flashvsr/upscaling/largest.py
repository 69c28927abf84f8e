"""The largest result that a device has memory for: what `limit = "auto"` becomes when a job is claimed."""

from __future__ import annotations

import torch

from flashvsr.model.network import FlashVSR
from flashvsr.model.stream import StreamOptions
from flashvsr.upscaling.savings import MOST_OF_MAIN_MEMORY, OVERHEAD_BYTES, host_bytes, main_memory
from flashvsr.video.geometry import BLOCK, Size

# The largest first. The last two are for GPUs with less memory than the first three need.
COMMON: tuple[Size, ...] = ((3840, 2160), (2560, 1440), (1920, 1080), (1280, 720), (960, 540))
WITHOUT_GPU: Size = (1920, 1080)

# Taken of an H200 at three sizes, bfloat16 and the fused kernels: tests/bench/results/thrift_h200.json. `SAVING` with
# all savings; there the least with which it still worked is 13 % below these lines at 1920x1152 and 22 % at 2560x1536.
_WEIGHTS = 4.1 * 2**30
_EACH_PIXEL, _EACH_PIXEL_SAVING = 8.8 * 2**30 / 1e6, 2.6 * 2**30 / 1e6
_PLAIN = 3.0  # plain PyTorch knows the first saving alone, and may have to compute in float32


def largest_result(model: FlashVSR, *, fused: bool) -> Size:
    """(width, height) of the largest wide result that fits on the model's device, if need be with all savings."""
    if model.device.type == "cpu":
        return WITHOUT_GPU
    memory = torch.cuda.get_device_properties(model.device).total_memory - OVERHEAD_BYTES // 2
    return next((size for size in COMMON if _fits(model, size, memory, fused=fused)), COMMON[-1])


def _fits(model: FlashVSR, size: Size, memory: int, *, fused: bool) -> bool:
    width, height = (-(-side // BLOCK) * BLOCK for side in size)
    times = 1.0 if fused else _PLAIN
    if times * (_WEIGHTS + _EACH_PIXEL * width * height) <= memory:
        return True
    saving = times * (_WEIGHTS + _EACH_PIXEL_SAVING * width * height) <= memory
    return saving and host_bytes(model, (width, height), StreamOptions()) <= MOST_OF_MAIN_MEMORY * main_memory()
