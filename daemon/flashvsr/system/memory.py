"""How this process asks the system for memory, and gives it back."""

from __future__ import annotations

import ctypes
import logging
import sys

log = logging.getLogger(__name__)

# Parameters of mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Let the C library keep what tensors give back, for the next tensor.

    By default each tensor of more than 32 MB is a new mapping whose every page the kernel clears at first touch; on
    the CPU that took as long as half of the model's own work.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # not the GNU C library
        log.debug("no mallopt: memory is returned to the system after each use")
        return
    for parameter, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _KEPT_BYTES), (_TOP_PAD, 64 << 20)):
        mallopt(parameter, value)


def free_gpu_memory() -> None:
    """Give cached blocks back, so that the next try does not fail by fragmentation alone."""
    torch = sys.modules.get("torch")  # the loop and its fakes do without
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
