"""Bicubic enlargement against Pillow's; cropping and extending; bytes and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from flashvsr.model.resize import enlarge, place, to_bytes, to_unit


def picture(width: int, height: int) -> np.ndarray:
    """Noise over a gradient, with hard edges: overshoots at both ends of the range."""
    random = np.random.default_rng(width * 1000 + height)
    ramp = np.linspace(0, 255, width)[None, :, None] * np.ones((height, 1, 3))
    noisy = np.clip(ramp + random.normal(0, 30, (height, width, 3)), 0, 255).astype(np.uint8)
    noisy[: height // 3, : width // 3] = 255
    noisy[: height // 3, width // 3 : width // 2] = 0
    return noisy


@pytest.mark.parametrize(
    ("size", "target"),
    [
        ((64, 36), (128, 72)),
        ((63, 37), (126, 74)),
        ((50, 41), (200, 164)),
        ((97, 55), (146, 82)),
        ((31, 17), (248, 136)),
        ((40, 30), (40, 30)),
        ((128, 3), (384, 9)),
    ],
)
def test_as_pillow(size: tuple[int, int], target: tuple[int, int]) -> None:
    source = picture(*size)
    ours = enlarge(torch.from_numpy(source).permute(2, 0, 1), target)
    assert ours.shape == (3, target[1], target[0])
    assert ours.dtype == torch.float32
    pillows = np.asarray(Image.fromarray(source).resize(target, Image.Resampling.BICUBIC)).astype(int)
    across = enlarge(torch.from_numpy(source).permute(2, 0, 1), (target[0], size[1])).round().to(torch.uint8)
    for made, most in ((ours, 0.2), (enlarge(across, target), 0.15)):  # once, and as Pillow rounds between two passes
        difference = np.abs(made.round().permute(1, 2, 0).numpy().astype(int) - pillows)
        assert difference.max() <= 1
        assert (difference == 1).mean() < most
    for plane, made in zip(source.transpose(2, 0, 1), ours, strict=True):
        exact = Image.fromarray(plane.astype(np.float32))  # of floats, Pillow neither rounds nor clamps
        exact = exact.resize((target[0], size[1]), Image.Resampling.BICUBIC)
        exact = Image.fromarray(np.asarray(exact).clip(0, 255)).resize(target, Image.Resampling.BICUBIC)
        np.testing.assert_allclose(made.numpy(), np.asarray(exact).clip(0, 255), rtol=0, atol=2e-3)


def test_deep_frames_as_others() -> None:
    """65535 is the white of a uint16 frame, as 255 is of one of 8 bits."""
    frame = torch.from_numpy(picture(63, 37)).permute(2, 0, 1)
    deep = (frame.int() * 257).to(torch.uint16)
    torch.testing.assert_close(enlarge(deep, (126, 74)), enlarge(frame, (126, 74)), rtol=0, atol=1e-4)


def test_the_coefficient_is_a_half() -> None:
    """The other usual bicubic filter (a = -0.75) overshoots more, and would not pass for Pillow's."""
    source = torch.from_numpy(picture(64, 36)).permute(2, 0, 1)
    other = torch.nn.functional.interpolate(source.float()[None], (72, 128), mode="bicubic")[0]
    assert (enlarge(source, (128, 72)) - other.round().clamp(0, 255)).abs().max() > 5


def test_place_cuts() -> None:
    x = torch.arange(3 * 6 * 8.0).view(3, 6, 8)
    assert torch.equal(place(x, (4, 2), (1, 3)), x[:, 3:5, 1:5])
    assert torch.equal(place(x, (8, 6), (0, 0)), x)


def test_place_extends_by_repeating_edges() -> None:
    x = torch.arange(3 * 6 * 8.0).view(3, 6, 8)
    extended = place(x, (12, 10), (-3, -1))
    expected = np.pad(x.numpy(), ((0, 0), (1, 3), (3, 1)), mode="edge")
    np.testing.assert_array_equal(extended.numpy(), expected)


def test_place_may_cut_one_way_and_extend_the_other() -> None:
    x = torch.arange(3 * 6 * 8.0).view(3, 6, 8)
    mixed = place(x, (4, 9), (2, -1))
    np.testing.assert_array_equal(mixed.numpy(), np.pad(x[:, :, 2:6].numpy(), ((0, 0), (1, 2), (0, 0)), mode="edge"))


@pytest.mark.parametrize("shape", [(3, 2, 6, 8), (3, 6, 8)])
def test_extending_then_cutting_gives_the_picture_back(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    assert torch.equal(place(place(x, (20, 14), (-5, -4)), (8, 6), (5, 4)), x)


def test_bytes_there_and_back() -> None:
    values = torch.arange(256, dtype=torch.uint8).repeat(3, 1, 2, 1)  # (3, 1, 2, 256)
    back = to_bytes(to_unit(values.float()))
    assert back.shape == (1, 2, 256, 3)
    assert back.is_contiguous()
    assert torch.equal(back.permute(3, 0, 1, 2), values)


def test_bytes_saturate() -> None:
    frames = torch.tensor([-1.5, -1.0, 0.0, 1.0, 1.5]).expand(3, 1, 1, 5)
    assert to_bytes(frames)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]
    assert to_bytes(frames.bfloat16())[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]
