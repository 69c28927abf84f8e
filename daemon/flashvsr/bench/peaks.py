"""What the machine can do at best: a large matrix product, and copying."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import torch

from flashvsr.bench.clocks import Moment, synchronize

_WARM_UP = 5


@dataclass(frozen=True)
class Peaks:
    """`matrix`: FLOP/s of a product of square matrices of `side`, in the model's number format.

    Bytes per second: `copy` of memory, each byte counted when read and when written; `upload` and `download` from and
    to pinned memory of the host, None on a CPU.
    """

    matrix: float
    side: int
    copy: float
    upload: float | None = None
    download: float | None = None


@torch.inference_mode()
def measure_peaks(device: torch.device, dtype: torch.dtype) -> Peaks:
    """Measure them, as medians of many. Takes about a second."""
    gpu = device.type == "cuda"
    side, size, times = (8192, 1 << 30, 40) if gpu else (1024, 1 << 26, 10)
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    product = torch.empty_like(left)
    matrix = 2 * side**3 / _seconds(device, times, lambda: torch.mm(left, right, out=product))
    source, target = (torch.zeros(size, dtype=torch.uint8, device=device) for _ in range(2))
    copy = 2 * size / _seconds(device, times, lambda: target.copy_(source))
    if not gpu:
        return Peaks(matrix, side, copy)
    host = torch.zeros(size, dtype=torch.uint8, pin_memory=True)
    upload = size / _seconds(device, times // 4, lambda: target.copy_(host, non_blocking=True))
    download = size / _seconds(device, times // 4, lambda: host.copy_(source, non_blocking=True))
    return Peaks(matrix, side, copy, upload, download)


def _seconds(device: torch.device, times: int, work: Callable[[], object]) -> float:
    """Median seconds on the device of `work`, done so many times in a row."""
    for _ in range(min(_WARM_UP, times)):
        work()
    moments = [Moment(device)]
    for _ in range(times):
        work()
        moments.append(Moment(device))
    synchronize(device)
    return median(start.until(end) for start, end in pairwise(moments))
