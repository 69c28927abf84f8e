"""Both forms of raster convolutions against PyTorch's: borders, memory, residual, folding, strides."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.kernels import raster_convolution as plain
from flashvsr.kernels.gpu import raster_convolution as gpu
from flashvsr.kernels.gpu.raster_convolution import Tile, strided_rows
from flashvsr.kernels.raster import Raster
from flashvsr.kernels.raster_convolution import fold_enlargement, taps_first

CHANNELS = 64
SMALL = Tile(rows=64, columns=64, depth=64, warps=4, stages=2)
# Triton's interpreter takes the bits of bfloat16 for numbers where it multiplies matrices.
BF16 = pytest.mark.skipif(not torch.cuda.is_available(), reason="the interpreter cannot multiply bfloat16 matrices")
FORMATS = [(torch.float16, 1e-3), pytest.param(torch.bfloat16, 8e-3, marks=BF16)]
SIZES = [(5, 9), (1, 1), (8, 7), (3, 70)]  # of one tile and of several, whose ends are inside a line


@pytest.fixture(params=["plain", "triton"])
def form(request: pytest.FixtureRequest) -> Any:
    """Either form of the operations, the Triton one with small tiles."""
    if request.param == "plain":
        return plain
    names = ("convolve", "convolve_enlarged", "convolve_strided")
    return SimpleNamespace(**{name: partial(getattr(gpu, name), tile=SMALL) for name in names})


def pictures(count: int, size: tuple[int, int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """(count, C, h, w)."""
    torch.manual_seed(count)
    return torch.randn(count, CHANNELS, *size, device=device).to(dtype)


def raster_of(x: Tensor) -> Raster:
    raster = Raster.zeros(len(x), x.shape[2], x.shape[3], x.shape[1], x)
    raster.pictures().copy_(x.permute(0, 2, 3, 1))
    return raster


def kernel(outputs: int, inputs: int, *shape: int, like: Tensor) -> Tensor:
    weight = torch.randn(outputs, inputs, *shape, device=like.device)
    return (weight / weight[0].numel() ** 0.5).to(like.dtype)


def nchw(raster: Raster) -> Tensor:
    return raster.pictures().permute(0, 3, 1, 2).float()


def assert_close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    assert (found - expected).norm() <= tolerance * expected.norm()
    assert (found - expected).abs().max() <= 8 * tolerance


def borders(raster: Raster) -> Tensor:
    """What lies between the pictures."""
    whole = raster.padded().clone()
    whole[:, : raster.height, : raster.width] = 0
    return whole


@pytest.mark.parametrize(("dtype", "tolerance"), FORMATS)
@pytest.mark.parametrize("size", SIZES)
def test_a_memory_block(
    form: Any, device: torch.device, size: tuple[int, int], dtype: torch.dtype, tolerance: float
) -> None:
    x, residual = pictures(3, size, dtype, device), pictures(2, size, dtype, device)
    weight, bias = kernel(CHANNELS, 2 * CHANNELS, 3, 3, like=x), torch.randn(CHANNELS, device=device)
    out = raster_of(pictures(2, size, dtype, device))
    out.rows.fill_(7)
    taps = torch.cat([taps_first(half) for half in weight.chunk(2, dim=1)])
    form.convolve(raster_of(x), taps, out, 2, bias=bias, residual=raster_of(residual), relu=True, previous=1)
    both = torch.cat([x[1:], x[:-1]], dim=1).float()
    expected = F.relu(F.conv2d(both, weight.float(), bias, padding=1) + residual.float())
    assert_close(nchw(out), expected, tolerance)
    assert not borders(out).any(), "the next convolution reads zeros there"


def test_a_result_may_replace_its_residual(form: Any, device: torch.device) -> None:
    x = pictures(2, (6, 30), torch.float16, device)
    weight = kernel(CHANNELS, CHANNELS, 3, 3, like=x)
    place = raster_of(x)
    form.convolve(raster_of(x), taps_first(weight), place, 2, residual=place)
    assert_close(nchw(place), F.conv2d(x.float(), weight.float(), padding=1) + x.float(), 1e-3)


def test_frames_beyond_the_count_are_left_alone(form: Any, device: torch.device) -> None:
    x = pictures(3, (4, 5), torch.float16, device)
    out = raster_of(x)
    before = out.rows.clone()
    form.convolve(raster_of(x), taps_first(kernel(CHANNELS, CHANNELS, 3, 3, like=x)), out, 1)
    assert (out.rows[out.frame :] == before[out.frame :]).all()
    assert (out.rows[: out.frame] != before[: out.frame]).any()


@pytest.mark.parametrize("size", SIZES)
def test_the_products_of_a_last_layer(form: Any, device: torch.device, size: tuple[int, int]) -> None:
    x = pictures(2, size, torch.float16, device)
    weight, last = kernel(CHANNELS, CHANNELS, 3, 3, like=x), kernel(32, CHANNELS, like=x).T.contiguous()
    out = Raster.empty(2, *size, 32, x)
    form.convolve(raster_of(x), taps_first(weight), out, 2, relu=True, last=last)
    hidden = F.relu(F.conv2d(x.float(), weight.float(), padding=1))
    assert_close(nchw(out), torch.einsum("fchw,cl->flhw", hidden, last.float()), 2e-3)
    assert not borders(out).any()


@pytest.mark.slow
@pytest.mark.parametrize("slices", [1, 2])
@pytest.mark.parametrize("size", SIZES[:3])
def test_an_enlargement(form: Any, device: torch.device, size: tuple[int, int], slices: int) -> None:
    x = pictures(2, size, torch.float16, device)
    point, weight = kernel(slices * CHANNELS, CHANNELS, like=x), kernel(CHANNELS, CHANNELS, 3, 3, like=x)
    height, width = size
    out = Raster.zeros(2 * slices, 2 * height, 2 * width, CHANNELS, x)
    folded = fold_enlargement(point, weight, slices)
    form.convolve_enlarged(raster_of(x), folded, out, 2, slices=slices, relu=True)
    mapped = F.conv2d(x.float(), point.float()[:, :, None, None]).unflatten(1, (slices, CHANNELS)).flatten(0, 1)
    large = F.interpolate(mapped, scale_factor=2, mode="nearest")
    assert_close(nchw(out), F.relu(F.conv2d(large, weight.float(), padding=1)), 1e-3)
    assert not borders(out).any(), "they were zero, and nothing was written there"


@pytest.mark.parametrize(("size", "room"), [((5, 9), 6), ((2, 40), 6), ((2, 40), 10)])
def test_strides_in_time(form: Any, device: torch.device, size: tuple[int, int], room: int) -> None:
    """In a raster with room for more frames, those that the result needs."""
    x = pictures(6, size, torch.float16, device)
    padded = F.pad(x.float(), (1, 1, 1, 1), mode="replicate")
    raster = Raster.zeros(room, *size, CHANNELS, x, edges=2)
    raster.padded()[:6] = padded.permute(0, 2, 3, 1)
    weight, bias = kernel(CHANNELS, CHANNELS, 4, 3, 3, like=x), torch.randn(CHANNELS, device=device)
    out = x.new_zeros(2, strided_rows(raster, SMALL), CHANNELS)
    form.convolve_strided(raster, taps_first(weight), out, bias=bias)
    expected = F.conv3d(padded.transpose(0, 1)[None], weight.float(), bias, stride=(2, 1, 1))[0]
    height, width = size
    lines = [out[:, y * raster.pitch : y * raster.pitch + width] for y in range(height)]
    assert_close(torch.stack(lines, dim=1).permute(3, 0, 1, 2).float(), expected, 1e-3)


def test_missing_channels_are_zeros() -> None:
    weight = torch.randn(2, 3, 3, 3)
    taps = taps_first(weight, 5).view(9, 5, 2)
    assert (taps[:, :3] == weight.flatten(2).permute(2, 1, 0)).all()
    assert not taps[:, 3:].any()


def test_what_is_seen_of_a_raster() -> None:
    raster = Raster.zeros(2, 3, 4, 1, torch.empty(0), edges=2)
    assert (raster.pitch, raster.frame, raster.frames, raster.channels) == (6, 30, 2, 1)
    raster.pictures().fill_(1)
    assert raster.rows.sum() == 2 * 3 * 4
    assert not raster.padded()[:, 0].any()
    assert raster.from_frame(1).frames == 1


def test_where_there_is_no_copy_engine(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "takes_large_tiles", lambda _device: False)
    x = pictures(1, (5, 9), torch.float16, device)
    weight = kernel(CHANNELS, CHANNELS, 3, 3, like=x)
    out = raster_of(x)
    gpu.convolve(raster_of(x), taps_first(weight), out, 1)
    assert_close(nchw(out), F.conv2d(x.float(), weight.float(), padding=1), 1e-3)
