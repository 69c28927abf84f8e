"""The largest result that a device has memory for: what `limit = "auto"` becomes at the claim. Without torch."""

from __future__ import annotations

import os
from dataclasses import dataclass

from flashvsr.model.cells import TOKEN_CELL
from flashvsr.model.windows import LATENTS_PER_GROUP, ring_slots
from flashvsr.system.devices import discover
from flashvsr.video.geometry import BLOCK, Size

# The largest first. The last two are for GPUs with less memory than the first three need.
COMMON: tuple[Size, ...] = ((3840, 2160), (2560, 1440), (1920, 1080), (1280, 720), (960, 540))
WITHOUT_GPU: Size = (1920, 1080)
MOST_OF_MAIN_MEMORY = 0.9  # of it all, for what is locked there

# Taken of an H200 at three sizes, bfloat16 and the fused kernels: tests/bench/results/thrift_h200.json. `SAVING` with
# all savings; the least with which that still worked is 8 % below this line at 1920x1152, and 14 % at 2560x1536.
_WEIGHTS = 4.1 * 2**30
_EACH_PIXEL, _EACH_PIXEL_SAVING = 8.8 * 2**30 / 1e6, 2.6 * 2**30 / 1e6
_PLAIN = 3.0  # plain PyTorch knows the first saving alone, and may have to compute in float32
_DRIVER = 1 << 30  # of a GPU that nobody else works on: CUDA's own, a desktop
_KV_RATIO = 3  # groups before its own that a window attends to


@dataclass(frozen=True)
class Caches:
    """What a model keeps for its attention: two caches a layer, with `dim` values of `itemsize` bytes for a token."""

    layers: int
    dim: int
    itemsize: int

    def bytes_for(self, size: Size, kv_ratio: int = _KV_RATIO) -> int:
        """Bytes of main memory that the caches of a picture of `size` (width, height) take there."""
        tokens = LATENTS_PER_GROUP * (size[0] // TOKEN_CELL) * (size[1] // TOKEN_CELL)
        each = ring_slots(kv_ratio) * tokens * self.dim * self.itemsize
        return 2 * self.layers * (1 << (each - 1).bit_length())  # PyTorch locks powers of two


PUBLISHED = Caches(layers=30, dim=1536, itemsize=2)


def largest_result(gpu_bytes: int | None, *, fused: bool = True, caches: Caches = PUBLISHED) -> Size:
    """(width, height) of the largest wide result that fits, if need be with all savings.

    `gpu_bytes`: all memory of the GPU; None where the CPU computes. `fused`: whether the fused kernels do.
    """
    if gpu_bytes is None:
        return WITHOUT_GPU
    return next((size for size in COMMON if _fits(size, gpu_bytes - _DRIVER, fused, caches)), COMMON[-1])


def largest_here(attention: str) -> Size:
    """The same for the first GPU that this process sees, without loading anything. `attention`: as in the settings."""
    return largest_result(discover("auto", 1)[0].memory, fused=attention != "torch")


def main_memory() -> int:
    """Bytes of this machine's main memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _fits(size: Size, memory: int, fused: bool, caches: Caches) -> bool:
    width, height = (-(-side // BLOCK) * BLOCK for side in size)
    times = 1.0 if fused else _PLAIN
    if times * (_WEIGHTS + _EACH_PIXEL * width * height) <= memory:
        return True
    saving = times * (_WEIGHTS + _EACH_PIXEL_SAVING * width * height) <= memory
    return saving and caches.bytes_for((width, height)) <= MOST_OF_MAIN_MEMORY * main_memory()
