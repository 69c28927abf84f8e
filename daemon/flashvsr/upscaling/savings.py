"""What is done where a GPU's memory does not suffice, in which order, and what nothing helps against."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from flashvsr.errors import BadInput, Fault, Transient
from flashvsr.model.network import FlashVSR
from flashvsr.model.stream import StreamOptions
from flashvsr.upscaling.largest import MOST_OF_MAIN_MEMORY, Caches, main_memory

STRIPS = 4  # more of them save little: see flashvsr.model.fused.strips
OVERHEAD_BYTES = 2 << 30  # of a GPU that nobody works on: CUDA's own, and a desktop
ADVICE = "set a smaller limit in the preset, or a smaller width or scale"


@dataclass(frozen=True)
class Thrift:
    """What is done to save memory of the GPU.

    `offload_cache`: attention caches live in host memory. `small_batches`: the decoder takes fewer frames at once.
    `strips`: it decodes the picture in that many strips.
    """

    offload_cache: bool = False
    small_batches: bool = False
    strips: int = 1


PLENTY = Thrift()
SAVINGS = (
    (Thrift(offload_cache=True), "the attention caches live in host memory"),
    (Thrift(offload_cache=True, small_batches=True), "and the decoder takes half as many frames at once"),
    (Thrift(offload_cache=True, small_batches=True, strips=STRIPS), f"and it decodes the picture in {STRIPS} strips"),
)


def next_saving(thrift: Thrift, steps: int) -> tuple[Thrift, str] | None:
    """The step after `thrift`, and words for it; None where all of the first `steps` are taken."""
    known = [step for step, _ in SAVINGS]
    index = known.index(thrift) + 1 if thrift in known else 0
    return SAVINGS[index] if index < steps else None


def check_main_memory(model: FlashVSR, size: tuple[int, int], options: StreamOptions) -> None:
    """Whether the attention caches of a picture of `size` (width, height) can live in this machine's memory.

    Raises BadInput where they never can: locking pages until the system has none left would end in a killed process.
    """
    params = model.dit.params
    caches = Caches(params.layers, params.dim, model.dtype.itemsize)
    needed, there = caches.bytes_for(size, options.kv_ratio), main_memory()
    if needed > MOST_OF_MAIN_MEMORY * there:
        raise BadInput(
            f"a picture of {size[0]}x{size[1]} needs {needed / 2**30:.0f} GB of main memory for its attention caches, "
            f"as the GPU's does not suffice, and this machine has {there / 2**30:.0f}; {ADVICE}",
            fault=Fault.NO_MEMORY,
        )


def shortage(device: torch.device, size: tuple[int, int]) -> BadInput | Transient:
    """What it means that a picture does not fit on a GPU whatever is saved: it depends on who else uses the GPU."""
    free, total = torch.cuda.mem_get_info(device)
    others = total - free - torch.cuda.memory_reserved(device)
    picture, gpu = f"a picture of {size[0]}x{size[1]} does not fit", f"the {total / 2**30:.0f} GB of this GPU"
    if others > OVERHEAD_BYTES:
        return Transient(
            f"{picture} beside the {others / 2**30:.0f} GB that other programs use of {gpu}; it is tried again later"
        )
    return BadInput(f"{picture} into {gpu}, whatever is done to save memory; {ADVICE}", fault=Fault.NO_MEMORY)
