"""The decoder in strips against itself without: where they lie, and that nothing of their cuts is to be seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.kernels.last_taps import PRODUCTS
from flashvsr.kernels.raster import Raster
from flashvsr.model.decoder import Decoder, DecoderParams, MemoryBlock
from flashvsr.model.fused import decoder as fused
from flashvsr.model.fused.decoder import DecoderWeights, FusedDecoder
from flashvsr.model.fused.strips import cut, margins_of
from kits.fused import DTYPE, GPU

V1_1 = (11, 9, 9, 2)  # convolutions at each size
MARGINS = (19, 16, 12, 4)
# The products of the last layer are kept in float16 whatever the rest is in.
LAST_ROUNDING = 2e-3


@pytest.mark.parametrize("count", [2, 3, 4, 7])
@pytest.mark.parametrize("rows", [88, 135, 272])
def test_where_strips_lie(rows: int, count: int) -> None:
    strips = cut(rows, count, margins_of(V1_1))
    assert [line for strip in strips for line in strip.core] == list(range(8 * rows)), "every line once"
    for strip in strips:
        assert [len(window) for window in strip.windows] == [len(window) for window in strips[0].windows]
        for size, (window, margin) in enumerate(zip(strip.windows, MARGINS, strict=True)):
            scale = 2**size
            first, last = strip.core.start * scale // 8 - margin, strip.core.stop * scale // 8 + margin
            assert window.start <= max(0, first)
            assert window.stop >= min(rows * scale, last)
            assert 0 <= window.start < window.stop <= rows * scale
            if size < 3:
                source, larger = strip.source(size), strip.windows[size + 1]
                assert 0 <= source.start < source.stop <= len(window)
                assert (window.start + source.start, len(source)) == (larger.start / 2, len(larger) / 2)


def test_a_low_picture_stays_whole() -> None:
    assert len(cut(38, 2, MARGINS)) == 1
    assert len(cut(40, 2, MARGINS)) == 2
    (whole,) = cut(38, 4, MARGINS)
    assert [len(window) for window in whole.windows] == [38, 76, 152, 304]


def test_the_margins_of_the_decoder() -> None:
    assert DecoderWeights(Decoder(DecoderParams((64, 64, 64, 64)))).convolutions == list(V1_1)
    assert margins_of(V1_1) == list(MARGINS)


def held(small_batches: bool, strips: int) -> float:
    """GB that v1.1's decoder holds for 3840x2176 between two calls."""
    with torch.device("meta"):
        plain = Decoder(DecoderParams((512, 256, 128, 128))).to(torch.bfloat16)
    made = FusedDecoder(DecoderWeights(plain), 2176, 3840, small_batches, strips)
    rasters = [made._entry, made._full, *(level._x for level in made._levels)]
    memories = [memory for strip in made._memories for level in strip for memory in level]
    return sum(tensor.nbytes for tensor in [*(raster.rows for raster in rasters), *memories]) / 1e9


@pytest.mark.slow
def test_what_strips_save() -> None:
    assert held(True, 1) == pytest.approx(4.2 + 2.8, abs=0.1)
    assert held(True, 4) == pytest.approx(1.2 + 3.4, abs=0.1), "as the module's words have it"


def decoder(device: torch.device, dtype: torch.dtype, width: int = 64) -> Decoder:
    torch.manual_seed(3)
    return Decoder(DecoderParams((width,) * 4)).to(device, dtype).eval().requires_grad_(False)


def windows(rows: int, like: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Latents and frames of two, 8 pixels wide."""
    torch.manual_seed(5)
    return [
        (torch.randn(16, 1, rows, 1).to(like), (torch.rand(3, frames, 8 * rows, 8) * 2 - 1).to(like))
        for frames in (1, 4)
    ]


def decoded(weights: DecoderWeights, rows: int, strips: int) -> tuple[Tensor, int]:
    """The frames of `windows`, and how many strips they were made in."""
    made = FusedDecoder(weights, 8 * rows, 8, small_batches=True, strips=strips)
    parts = [part for window in windows(rows, weights.last) for part in made(*window)]
    return torch.cat(parts, dim=1), len(made._strips)


@pytest.mark.slow
@torch.inference_mode()
def test_the_same_picture(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one memory block of each size instead of three, which needs lower pictures: the interpreter is slow."""
    plain = decoder(device, DTYPE)
    for name, layer in list(plain.decoder.items()):
        if isinstance(layer, MemoryBlock) and name not in ("5", "11", "17"):
            del plain.decoder[name]
    monkeypatch.setattr(fused, "BLOCKS", (("5",), ("11",), ("17",)))
    if not GPU:
        monkeypatch.setattr(fused, "add_last_taps", add_last_taps)  # an instance of the kernel a line
        monkeypatch.setattr(fused, "NARROW", replace(fused.NARROW, rows=256))
    weights = DecoderWeights(plain)
    whole, one = decoded(weights, 20, 1)
    found, several = decoded(weights, 20, 2)
    assert (one, several) == (1, 2)
    assert torch.equal(found, whole)


@pytest.fixture
def by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels in plain PyTorch and any number format, raster row for raster row."""
    for kernel in (convolve, convolve_enlarged, add_last_taps):
        monkeypatch.setattr(fused, kernel.__name__, kernel)


def shifting(up: bool) -> DecoderWeights:
    """A decoder whose every convolution reads the line above (or below) alone, and hands nearly all of it on."""
    plain = decoder(torch.device("cpu"), torch.float64, width=16)
    for name, weight in plain.named_parameters():
        weight.zero_()
        if weight.ndim == 4:
            kernel = torch.rand(weight.shape[:2], dtype=weight.dtype) * 2 / weight.shape[1]
            if ".conv.4." in name:
                kernel *= 3  # beside what the block passes by
            weight[:, :, 0 if up or weight.shape[2] == 1 else 2, weight.shape[3] // 2] = kernel
    plain.decoder["1"].get_parameter("weight").abs_().mul_(0.1)
    return DecoderWeights(plain)


@pytest.mark.slow
@torch.inference_mode()
@pytest.mark.usefixtures("by_rows")
@pytest.mark.parametrize(
    ("up", "fewer"),
    # Lines that a window must not lack. Enlarged ones go by two; the last enlargement sees a line below its window.
    [(True, (1, 2, 2, 2)), (False, (1, 2, 2, 4))],
    ids=["up", "down"],
)
def test_nothing_of_the_cuts_is_seen(up: bool, fewer: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    weights, rows = shifting(up), 66
    whole, _ = decoded(weights, rows, 1)
    for count in (2, 3):
        found, strips = decoded(weights, rows, count)
        assert strips == count
        assert difference(found, whole) < LAST_ROUNDING
    for size, missing in enumerate(fewer):
        margins = [margin - missing * (place == size) for place, margin in enumerate(MARGINS)]
        monkeypatch.setattr(fused, "margins_of", lambda _, margins=margins: margins)
        found, _ = decoded(weights, rows, 2)
        assert difference(found, whole) > 5 * LAST_ROUNDING, margins


def difference(found: Tensor, expected: Tensor) -> float:
    """The greatest, as a share of what is usual there."""
    return float((found - expected).abs().max() / (expected + 1).abs().mean())


def taps(x: Raster, weight: Tensor, shifts: list[int], rows: int) -> Tensor:
    room = max(map(abs, shifts)) + rows
    padded = F.pad(x.rows, (0, 0, room, room))
    parts = weight.chunk(len(shifts))
    return sum(padded[room + s : room + s + rows] @ part for s, part in zip(shifts, parts, strict=True))  # type: ignore[return-value]


def convolve(x: Raster, weight: Tensor, out: Raster, frames: int, **how: Any) -> None:
    previous, rows = how.get("previous", 0), frames * x.frame
    shifts = [
        (previous - group) * x.frame + y * x.pitch + column
        for group in range(1 + previous)
        for y in (-1, 0, 1)
        for column in (-1, 0, 1)
    ]
    found = taps(x, weight, shifts, rows)
    if how.get("bias") is not None:
        found += how["bias"]
    if how.get("residual") is not None:
        found += how["residual"].rows[:rows]
    if how.get("relu"):
        found = found.relu()
    if how.get("last") is not None:
        found = found @ how["last"]
    framed = Raster(found, x.height, x.width).padded()
    framed[:, x.height :] = 0
    framed[:, :, x.width :] = 0
    out.rows[:rows] = found.to(out.rows.dtype)


def convolve_enlarged(
    x: Raster, weight: Tensor, out: Raster, frames: int, *, slices: int = 1, relu: bool = False, **_: Any
) -> None:
    parts: Iterator[Tensor] = iter(weight.chunk(4 * slices))
    for part in range(slices):
        for phase in range(4):
            py, px = divmod(phase, 2)
            shifts = [(py + dy - 1) * x.pitch + px + dx - 1 for dy in (0, 1) for dx in (0, 1)]
            kernel = next(parts)
            for frame in range(frames):
                found = taps(x.from_frame(frame), kernel, shifts, x.height * x.pitch)
                lines = found.view(x.height, x.pitch, -1)[:, : x.width]
                out.pictures()[frame * slices + part, py::2, px::2] = lines.relu() if relu else lines


def add_last_taps(products: Raster, bias: Tensor, frames: int, out: Tensor, first: int = 0) -> None:
    weight = products.rows.new_zeros(9, PRODUCTS, 3, dtype=torch.float64)
    for tap in range(9):
        weight[tap, 3 * tap : 3 * tap + 3] = torch.eye(3)
    shifts = [y * products.pitch + column for y in (-1, 0, 1) for column in (-1, 0, 1)]
    exact = replace(products, rows=products.rows.double())
    sums = taps(exact, weight.flatten(0, 1), shifts, frames * products.frame) + bias
    pictures = Raster(sums, products.height, products.width).pictures()[:, first : first + out.shape[2]]
    out.copy_((2 * pictures - 1).permute(3, 0, 1, 2))
