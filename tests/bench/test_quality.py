"""What is compared with what: sizes, order of frames, errors that are known beforehand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from flashvsr.bench.enlargers import bicubic
from flashvsr.bench.metrics import psnr
from flashvsr.bench.quality import AREA, BICUBIC, MODEL, ComparedFrame, Comparison, Measured, measure, measured_size
from flashvsr.errors import BadInput
from flashvsr.model.loading import load_model
from flashvsr.upscaling.engine import Engine
from flashvsr.video.probe import SourceInfo, probe
from flashvsr.weights.choice import nano_folder
from kits.golden_cases import formula_model
from kits.models import TINY
from kits.videos import number_of, numbered, write_video


@pytest.fixture(scope="module")
def quick() -> Engine:
    """A tiny model for what does not depend on the model."""
    return Engine(formula_model(TINY), "tiny", "CPU")


def lossless(path: Path, pictures: list[np.ndarray]) -> SourceInfo:
    return probe(write_video(path, pictures, codec="ffv1", pixel_format="bgr0"))


def flat_video(path: Path, frames: int, size: tuple[int, int] = (128, 128)) -> SourceInfo:
    return lossless(path, [np.full((size[1], size[0], 3), 90 + i, np.uint8) for i in range(frames)])


def ignore(_frame: ComparedFrame) -> None:
    pass


@pytest.mark.parametrize(
    ("size", "at_most", "scale", "expected"),
    [
        ((176, 144), None, 2, (128, 128)),
        ((300, 270), None, 4, (256, 256)),
        ((300, 270), (640, 140), 2, (256, 128)),
        ((300, 102), None, 2, (300, 100)),  # too low for a block: extended as fit = "pad" does
        ((302, 102), None, 4, (296, 96)),
        ((130, 130), (90, 90), 2, (88, 88)),
    ],
)
def test_the_measured_part(
    tmp_path: Path, size: tuple[int, int], at_most: tuple[int, int] | None, scale: int, expected: tuple[int, int]
) -> None:
    info = flat_video(tmp_path / "a.mkv", 1, size)
    measured = measured_size(info, scale, at_most)
    assert measured == expected
    task = Comparison(info, measured, scale, AREA)
    assert task.geometry.output == measured
    assert all(side % 128 == 0 for side in task.geometry.model)
    assert (task.geometry.model == measured) == (min(measured) >= 128)


def test_pictures_too_small_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="too small"):
        measured_size(flat_video(tmp_path / "a.mkv", 1, (200, 30)), 2)


@pytest.mark.slow
def test_every_frame_is_compared_with_itself(tmp_path: Path) -> None:
    engine = Engine(load_model(nano_folder(), "cpu", torch.float32).model, "nano", "CPU")
    info = lossless(tmp_path / "a.mkv", [numbered(i, 144, 100) for i in range(27)])
    seen: list[int] = []

    def look(frame: ComparedFrame) -> None:
        numbers = {number_of(picture.permute(1, 2, 0).numpy()) for picture in (frame.source, *frame.enlarged.values())}
        assert numbers == {frame.index}
        assert {tuple(picture.shape) for picture in frame.enlarged.values()} == {tuple(frame.source.shape)}
        seen.append(frame.index)

    task = Comparison(info, measured_size(info, 2), 2, BICUBIC, start=2, frames=24)
    measured = measure(task, engine, {BICUBIC: bicubic}, look)
    assert seen == list(range(2, 26))
    assert measured.frames == 24
    assert measured.gains()["psnr_y"] > 0  # sharp bars
    assert measured.window_start_gain() is not None


def test_known_errors_are_measured(tmp_path: Path, quick: Engine) -> None:
    info = flat_video(tmp_path / "a.mkv", 4)
    calls = 0

    def off_by_three(low: Tensor, factor: int) -> Tensor:
        return bicubic(low, factor) + 3

    def now_above_now_below(low: Tensor, factor: int) -> Tensor:
        nonlocal calls
        calls += 1
        return bicubic(low, factor) + (3 if calls % 2 else -3)

    others = {BICUBIC: bicubic, "steady": off_by_three, "unsteady": now_above_now_below}
    measured = measure(Comparison(info, (128, 128), 2, AREA), quick, others, ignore)
    steady, unsteady, best = (measured.scores[name].summary() for name in ("steady", "unsteady", BICUBIC))
    assert best["psnr_y"] == best["steadiness"] == pytest.approx(99)
    assert [steady["psnr_y"], unsteady["psnr_y_pooled"]] == pytest.approx([float(psnr(9.0))] * 2, abs=1e-3)
    assert steady["steadiness"] > 90
    assert unsteady["steadiness"] == pytest.approx(float(psnr(36.0)), abs=1e-3)
    assert measured.gains("steady")["psnr_y"] == pytest.approx(
        measured.scores[MODEL].summary()["psnr_y"] - steady["psnr_y"]
    )


def test_one_frame_is_too_few(tmp_path: Path, quick: Engine) -> None:
    info = flat_video(tmp_path / "a.mkv", 5)
    for start, what in ((4, "one frame"), (9, "no frame")):
        with pytest.raises(BadInput, match=what):
            measure(Comparison(info, (128, 128), 2, AREA, start), quick, {BICUBIC: bicubic}, ignore)


def test_two_frames_have_no_window_to_begin(tmp_path: Path, quick: Engine) -> None:
    info = flat_video(tmp_path / "a.mkv", 2)
    measured: Measured = measure(Comparison(info, (128, 128), 2, AREA), quick, {BICUBIC: bicubic}, ignore)
    assert measured.frames == 2
    assert measured.window_start_gain() is None
