"""The nano model inside the package: small, and better than bicubic on footage it has never seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from flashvsr.bench.enlargers import bicubic
from flashvsr.bench.quality import AREA, BICUBIC, Comparison, measure, measured_size
from flashvsr.model.loading import load_model
from flashvsr.model.network import FlashVSR
from flashvsr.model.slim import slim
from flashvsr.model.stages import plain_stages
from flashvsr.model.stream import Stream, StreamOptions, StreamSpec
from flashvsr.training import nano
from flashvsr.upscaling.engine import Engine
from flashvsr.video.probe import probe
from flashvsr.weights.choice import nano_folder
from kits.paths import VALIDATION_CLIP as CLIP


@pytest.fixture(scope="module")
def model() -> FlashVSR:
    """As workers use it."""
    loaded = load_model(nano_folder(), "cpu", torch.float32).model
    slim(loaded.decoder)
    return loaded


def test_it_takes_at_most_8_megabytes() -> None:
    assert sum(file.stat().st_size for file in nano_folder().iterdir()) <= 8_000_000


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("filter_name", [AREA, BICUBIC])
def test_it_beats_bicubic(model: FlashVSR, filter_name: str, scale: int) -> None:
    engine = Engine(model, "nano", "CPU")
    info = probe(CLIP)
    task = Comparison(info, measured_size(info, scale, (256, 128)), scale, filter_name)
    gains = measure(task, engine, {BICUBIC: bicubic}, lambda _: None).gains()
    assert gains["psnr_y"] >= 1
    assert gains["psnr_y_pooled"] >= 1
    assert gains["ssim"] > 0
    assert gains["steadiness_pooled"] >= 0


def test_the_script_makes_what_is_not_learned_of_the_shipped_weights(tmp_path: Path) -> None:
    nano.save(nano.build(0, None), tmp_path)
    made, shipped = (load_model(folder, "cpu", torch.float32).model for folder in (tmp_path, nano_folder()))
    expected = shipped.state_dict()
    learned = set()
    for key, value in made.state_dict().items():
        if torch.allclose(value, expected[key], rtol=0, atol=1e-6):
            continue
        learned.add(".".join(key.split(".")[:3]))
    assert learned == {f"decoder.decoder.{block}" for block in (12, 13, 18, 19)}


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (119, 210, 255), (200, 60, 60)])
def test_flat_pictures_stay_flat_to_their_edges(model: FlashVSR, color: tuple[int, int, int]) -> None:
    flat = (torch.tensor(color) / 127.5 - 1)[:, None, None].expand(3, 128, 128)
    with torch.inference_mode():
        stream = Stream(plain_stages(model, StreamSpec(128, 128, StreamOptions(color_fix="none"))))
        output = torch.cat(list(stream.run([flat] * 21)), dim=1)
    error = (output - flat[:, None]).abs() * 127.5
    assert error.max() < 1.5  # levels


def test_a_cut_leaves_nothing_of_the_scene_before(model: FlashVSR) -> None:
    red, blue = (torch.tensor(c).view(3, 1, 1).expand(3, 128, 128) for c in ((0.6, -0.6, -0.6), (-0.6, -0.4, 0.7)))
    with torch.inference_mode():
        frames = [*[red] * 11, *[blue] * 10]
        stream = Stream(plain_stages(model, StreamSpec(128, 128)))
        output = torch.cat(list(stream.run(frames)), dim=1)
    error = (output - torch.stack(frames, dim=1)).abs()[..., 8:-8, 8:-8] * 127.5
    assert error.max() < 1.5
