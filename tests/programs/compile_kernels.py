"""Compiles kernels for GPUs that are not here: `python compile_kernels.py [--only WORDS] CAPABILITY...`, such as 8.6.

Prints one JSON object a line: `capability`, `kernel`, `shared` (bytes of shared memory), `registers` and `spilled`
(bytes of a thread's registers that go to memory and back). Calls go through the kernels' own functions, with the shapes
of the published model; the launch itself is left out. WORDS: only kernels with one of these, parted by commas, in their
names.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

os.environ.pop("TRITON_INTERPRET", None)

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

from flashvsr.kernels.fp8_attention import FORMAT, Factors
from flashvsr.kernels.gpu import (
    attention_kernels,
    channel_norm,
    large_tiles,
    last_taps,
    quantise_rows,
    raster_convolution,
    residual_norm,
    rms_norm,
    rotate_blocks,
    select_blocks,
)
from flashvsr.kernels.gpu import int8_product as int8_product_module
from flashvsr.kernels.gpu.raster_convolution import Tile
from flashvsr.kernels.last_taps import PRODUCTS
from flashvsr.kernels.quantise_rows import Rows
from flashvsr.kernels.raster import Raster
from flashvsr.kernels.rotate_blocks import Ring
from flashvsr.kernels.select_blocks import BlockLists
from flashvsr.model.fused.decoder import INPUT_CHANNELS, NARROW, WIDE
from flashvsr.model.fused.lq_projection import TILE

DIM, FFN, HEADS, BLOCKS, SLOTS = 1536, 8960, 12, 4, 5
TOKENS = 128 * BLOCKS
BF16 = torch.bfloat16


class Elsewhere:
    """Stands in for the driver of a GPU of that capability."""

    def __init__(self, capability: tuple[int, int]) -> None:
        self.capability = capability

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 10 * self.capability[0] + self.capability[1], 32)

    def get_current_device(self) -> str:
        return str(self.capability)  # what was compiled for one is not taken for another

    def get_current_stream(self, device: object) -> int:
        return 0


@contextmanager
def compiled(capability: tuple[int, int], found: list[Any]) -> Iterator[None]:
    """Within the block, launches compile; what comes of it is added to `found`."""
    run = JITFunction.run

    def only_compile(self: Any, *args: Any, grid: Any, warmup: bool, **options: Any) -> Any:
        found.append(run(self, *args, grid=grid, warmup=True, **options))

    triton.runtime.driver.set_active(Elsewhere(capability))
    with (
        mock.patch.object(JITFunction, "run", only_compile),
        mock.patch.object(large_tiles, "capability_of", return_value=capability),
        mock.patch.object(int8_product_module, "capability_of", return_value=capability),
        mock.patch.object(attention_kernels, "_is_hopper", return_value=capability[0] == large_tiles.HOPPER),
    ):
        large_tiles.takes_large_tiles.cache_clear()
        yield


def calls() -> Iterator[tuple[str, Callable[[], object]]]:
    """Every kernel by name, in all shapes of the model that are compiled for themselves."""
    x, dim = torch.empty(TOKENS, DIM, dtype=BF16), torch.empty(DIM)
    cpu = torch.device("cpu")
    yield "residual_norm", lambda: residual_norm.residual_norm(x, x, dim, dim, dim, 1e-6, BF16)
    yield "residual_norm_rows", lambda: residual_norm.residual_norm_rows(x, x, dim, dim, dim, 1e-6)
    yield "rms_norm", lambda: rms_norm.rms_norm(x, dim, 1e-6)
    yield "quantise_rows", lambda: quantise_rows.quantise_rows(x)
    yield "quantise_rows, gelu", lambda: quantise_rows.quantise_rows(torch.empty(8, FFN, dtype=BF16), gelu=True)

    def rows(count: int, depth: int) -> Rows:
        return Rows(torch.empty(count, depth, dtype=torch.int8), torch.empty(count))

    for inside, out in ((DIM, 3 * DIM), (DIM, DIM), (DIM, FFN), (FFN, DIM)):
        given = rows(TOKENS, inside), rows(out, inside), torch.empty(out, dtype=BF16)
        yield f"int8_product {inside} {out}", partial(int8_product_module.int8_product, *given)

    angles, slots = torch.empty(TOKENS, 64), torch.zeros(1, dtype=torch.int32)
    qkv, norm = torch.empty(TOKENS, 3 * DIM, dtype=BF16), torch.ones(DIM, dtype=BF16)
    means = torch.empty(SLOTS * BLOCKS, HEADS, 128)

    def ring(dtype: torch.dtype) -> Ring:
        keys, values = (torch.empty(SLOTS * TOKENS, DIM, dtype=dtype) for _ in range(2))
        return Ring(keys, values, means, torch.empty(SLOTS * BLOCKS, HEADS))

    rotated = qkv, norm, norm, angles, angles, 1e-6, slots
    yield "normalise_and_rotate", lambda: rotate_blocks.normalise_and_rotate(*rotated, ring(BF16))
    factors = Factors.of(norm, norm)
    if large_tiles.capability_of(cpu) >= (8, 9):  # older ones know no float8
        yield (
            "normalise_rotate_and_round",
            lambda: rotate_blocks.normalise_rotate_and_round(*rotated, ring(FORMAT), factors),
        )
    near = torch.ones(BLOCKS, BLOCKS, dtype=torch.bool)
    attended = torch.arange(4, dtype=torch.int32)
    yield "select_blocks", lambda: select_blocks.select_blocks(means[:BLOCKS], means, attended, near, 8)

    lists = BlockLists(
        torch.zeros(HEADS, BLOCKS, 4 * BLOCKS, dtype=torch.int32),
        torch.ones(HEADS, BLOCKS, dtype=torch.int32),
        torch.arange(HEADS * BLOCKS, dtype=torch.int32),
    )
    q, k, v = (torch.empty(128 * n, HEADS, 128, dtype=BF16) for n in (BLOCKS, SLOTS * BLOCKS, SLOTS * BLOCKS))
    yield "attention", lambda: attention_kernels.kernel_for("triton", cpu)(q, k, v, lists)
    eight = attention_kernels.fp8_kernel_for("triton", cpu)
    if eight is not None:
        kept = ring(FORMAT)
        q8, k8 = q.to(FORMAT), k.to(FORMAT)
        scales = kept.value_scales
        assert scales is not None
        yield "fp8_attention", lambda: eight(q8, k8, kept.value_blocks, scales, factors.scales, lists, BF16)

    def raster(channels: int, edges: int = 1, frames: int = 8) -> Raster:
        return Raster.zeros(frames, 16, 24, channels, torch.empty(0, dtype=BF16), edges)

    for channels in (512, 256, 128):
        a, wide = raster(channels), tiles_for(channels)
        weight, bias = torch.empty(9 * channels, channels, dtype=BF16), torch.empty(channels)
        memory = torch.empty(18 * channels, channels, dtype=BF16)
        plain: dict[str, Any] = {"bias": bias, "relu": True, "tile": wide}
        yield (
            f"convolve {channels}",
            partial(raster_convolution.convolve, a, weight, a, 2, residual=a, **plain),
        )
        yield (
            f"convolve {channels} memory",
            partial(raster_convolution.convolve, a, memory, a, 2, previous=1, **plain),
        )
    entry = torch.empty(9 * INPUT_CHANNELS, 512, dtype=BF16)
    yield (
        "convolve, entry",
        lambda: raster_convolution.convolve(
            raster(INPUT_CHANNELS), entry, raster(512), 2, bias=torch.empty(512), relu=True, tile=tiles_for(512)
        ),
    )
    for inside, out, slices in ((512, 256, 1), (256, 128, 2), (128, 128, 1)):
        folded, target = torch.empty(slices * 16 * inside, out, dtype=BF16), raster(out, frames=16)
        yield (
            f"convolve_enlarged {inside} {out}",
            partial(
                raster_convolution.convolve_enlarged,
                raster(inside).lines(range(8)),
                folded,
                target,
                1,
                slices=slices,
                tile=tiles_for(out),
            ),
        )
    products = Raster.empty(1, 16, 24, PRODUCTS, torch.empty(0, dtype=torch.float16))
    last = torch.empty(128, PRODUCTS, dtype=BF16)
    yield (
        "convolve, last",
        lambda: raster_convolution.convolve(
            raster(128), torch.empty(9 * 128, 128, dtype=BF16), products, 1, relu=True, last=last, tile=tiles_for(128)
        ),
    )
    yield "add_last_taps", lambda: last_taps.add_last_taps(products, torch.empty(3), 1, torch.empty(3, 1, 16, 24))
    for inside, out in ((768, 2048), (2048, 3072)):
        x_cells = raster(inside, edges=2)
        strided = torch.empty(2, raster_convolution.strided_rows(x_cells, TILE), out, dtype=BF16)
        weight = torch.empty(36 * inside, out, dtype=BF16)
        yield (
            f"convolve_strided {inside} {out}",
            partial(raster_convolution.convolve_strided, x_cells, weight, strided, bias=torch.empty(out), tile=TILE),
        )
    normed = torch.empty(2, 640, 2048, dtype=BF16)
    yield "norm_into_raster", lambda: channel_norm.norm_into_raster(normed, torch.empty(2048), raster(2048, edges=2), 0)
    yield "norm_into_blocks", lambda: channel_norm.norm_into_blocks(normed, torch.empty(2048), 26, 16, 24)


def tiles_for(channels: int) -> Tile:
    """As the decoder's levels choose them."""
    return WIDE if channels % WIDE.columns == 0 else NARROW


def usage(kernel: Any) -> dict[str, int]:
    """What the compiled kernel takes, by NVIDIA's own tool."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        tool = triton.knobs.nvidia.cuobjdump.path
        text = subprocess.run([tool, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True)
    registers, stack = (int(re.findall(rf"{name}:(\d+)", text.stdout)[-1]) for name in ("REG", "STACK"))
    return {"shared": kernel.metadata.shared, "registers": registers, "spilled": stack}


def main(arguments: list[str]) -> None:
    words = [""]
    if arguments[0] == "--only":
        words, arguments = arguments[1].split(","), arguments[2:]
    for argument in arguments:
        major, _, minor = argument.partition(".")
        found: list[Any] = []
        with compiled((int(major), int(minor)), found):
            for name, call in calls():
                if not any(word in name for word in words):
                    continue
                before = len(found)
                call()
                for kernel in found[before:]:
                    print(json.dumps({"capability": argument, "kernel": name} | usage(kernel)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
