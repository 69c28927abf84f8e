"""The nano model inside the package: small, and better than bicubic on footage it has never seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from flashvsr.model.stream import Stream, StreamOptions
from flashvsr.model.weights import load_model
from flashvsr.training import nano
from flashvsr.training.data import ClipSampler, Footage, Video
from flashvsr.training.loop import Plan, loss_of, restore, train
from flashvsr.training.validate import measure
from flashvsr.weights import nano_folder

CLIP = Path(__file__).parents[1] / "data" / "validation" / "bbb_384x256.mkv"


def test_it_takes_at_most_8_megabytes() -> None:
    assert sum(file.stat().st_size for file in nano_folder().iterdir()) <= 8_000_000


@pytest.mark.parametrize("bicubic", [False, True], ids=["halved by averages", "halved by the bicubic filter"])
def test_it_beats_bicubic(bicubic: bool) -> None:
    measured = measure(load_model(nano_folder(), "cpu", torch.float32).model, CLIP, bicubic)
    assert measured.gain >= 0.3
    assert measured.pooled_gain >= 0.3
    assert measured.pooled_flicker_gain >= 0


def test_the_script_makes_the_shipped_weights(tmp_path: Path) -> None:
    nano.save(nano.build(0, torch.device("cpu")), tmp_path)
    made, shipped = (load_model(folder, "cpu", torch.float32).model for folder in (tmp_path, nano_folder()))
    expected = shipped.state_dict()
    for key, value in made.state_dict().items():
        torch.testing.assert_close(value, expected[key], rtol=0, atol=1e-6, msg=lambda text, key=key: f"{key}: {text}")


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (119, 210, 255), (200, 60, 60)])
def test_flat_pictures_stay_flat_to_their_edges(color: tuple[int, int, int]) -> None:
    model = load_model(nano_folder(), "cpu", torch.float32).model
    flat = (torch.tensor(color) / 127.5 - 1)[:, None, None].expand(3, 128, 128)
    with torch.inference_mode():
        stream = Stream(model, 128, 128, StreamOptions(color_fix="none"))
        output = torch.cat(list(stream.run([flat] * 21)), dim=1)
    error = (output - flat[:, None]).abs() * 127.5
    cross = torch.zeros(128, 128, dtype=torch.bool)
    cross[4:-4] = cross[:, 4:-4] = True
    assert error[..., cross].max() < 1.0  # levels
    assert error.max() < 30  # the four corners, where colour is not repeated


def test_a_cut_leaves_nothing_of_the_scene_before() -> None:
    model = load_model(nano_folder(), "cpu", torch.float32).model
    red, blue = (torch.tensor(c).view(3, 1, 1).expand(3, 128, 128) for c in ((0.6, -0.6, -0.6), (-0.6, -0.4, 0.7)))
    with torch.inference_mode():
        frames = [*[red] * 11, *[blue] * 10]
        output = torch.cat(list(Stream(model, 128, 128, StreamOptions()).run(frames)), dim=1)
    error = (output - torch.stack(frames, dim=1)).abs()[..., 8:-8, 8:-8] * 127.5
    assert error.max() < 1.5


def synthetic_footage() -> Footage:
    """A moving pattern of many frequencies."""
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(160.0), indexing="ij")
    frames = [
        torch.stack([torch.sin((x + i) * a) * torch.cos((y - i) * b) for a, b in ((0.3, 0.2), (0.7, 0.5), (0.1, 0.9))])
        for i in range(30)
    ]
    pixels = (torch.stack(frames) * 100 + 128).round().to(torch.uint8)
    return Footage([Video(pixels, np.ones((30, 8, 10), dtype=np.float32))], [])


class Source:
    """One and the same training picture of a single clip."""

    grid = (1, 1)

    def __init__(self) -> None:
        sampler = nano.MosaicSampler(synthetic_footage(), nano.Material(128, (1, 1), 25, 0.0), seed=0)
        self.pair = sampler.draw()

    def draw(self) -> tuple[Tensor, Tensor]:
        return self.pair


def test_training_lowers_the_loss_and_saves_what_the_loader_takes(tmp_path: Path) -> None:
    source = Source()
    model = nano.build(0, torch.device("cpu"))
    low, high = source.pair

    def loss() -> float:
        with torch.no_grad():
            return loss_of(restore(model, low) - high[:, :-4], source.grid).item()

    before = loss()
    average = train(model, source, Plan(steps=4, rate=3e-5, warmup=0.2, rounding=0.5))
    assert loss() < before
    nano.save(average, tmp_path)
    assert not load_model(tmp_path, "cpu", torch.float32).notes


def test_clips_are_the_same_for_the_same_seed() -> None:
    first, second, other = (ClipSampler(synthetic_footage(), 64, 9, 0.0, seed).clip() for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
