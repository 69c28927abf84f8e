"""The learned correction: its training, and that the decoder computes the same once it is laid in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.bench.luma import luma_of
from flashvsr.bench.shrink import shrink
from flashvsr.errors import BadInput
from flashvsr.model.decoder import DecoderParams
from flashvsr.model.network import FlashVSR
from flashvsr.model.stream import Stream, StreamOptions
from flashvsr.model.weights import load_model
from flashvsr.model.windows import LOOKAHEAD, window, window_count
from flashvsr.training import nano
from flashvsr.training.correction import Correction, CorrectionParams
from flashvsr.training.data import ClipSampler, Footage, Video, enlarge
from flashvsr.training.degrade import Degradation, add_grain, degrade
from flashvsr.training.initial_decoder import MARGIN, SPAN
from flashvsr.training.lay_correction import lay_correction
from flashvsr.training.loop import Plan, enlarge_linearly, train

SMALL = Plan(steps=40, rate=1e-2, clips=4, side=64, frames=2, compressed_share=0.2, rounding=0.5)


def synthetic_footage() -> Footage:
    """A moving pattern of many frequencies."""
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(160.0), indexing="ij")
    frames = [
        torch.stack([torch.sin((x + i) * a) * torch.cos((y - i) * b) for a, b in ((0.3, 0.2), (0.7, 0.5), (0.1, 0.9))])
        for i in range(30)
    ]
    pixels = (torch.stack(frames) * 100 + 128).round().to(torch.uint8)
    halves = shrink(pixels.float(), 2, bicubic=False).to(torch.uint8)
    return Footage([Video(pixels, np.ones((30, 8, 10), dtype=np.float32), halves)], [])


def random_correction() -> Correction:
    torch.manual_seed(1)
    correction = Correction(CorrectionParams())
    with torch.no_grad():
        for parameter in correction.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return correction


def decoded(model: FlashVSR, low: Tensor) -> Tensor:
    """What the decoder makes of (3, F, H, W), before the colour correction."""
    stream = Stream(model, low.shape[2], low.shape[3], StreamOptions())
    latents = []
    with torch.no_grad():
        for index in range(window_count(low.shape[1])):
            step = window(index)
            noise = torch.randn(stream.noise_shape(step))
            latents.append(stream.denoise(step, low[:, slice(*step.lq)], noise))
        return model.decoder(torch.cat(latents, dim=1), low[:, :-LOOKAHEAD], {})


def test_the_decoder_computes_the_correction_laid_into_it() -> None:
    torch.manual_seed(0)
    correction = random_correction()
    model = nano.build(0, correction)
    texture = F.avg_pool2d(torch.rand(3, 25, 128, 128), 5, 1, 2).transpose(0, 1) * 255
    low = enlarge(shrink(texture, 2, bicubic=False), 2).transpose(0, 1) / 127.5 - 1
    result = luma_of(decoded(model, low)) / 2 + 0.5
    luma = luma_of(low[:, :-LOOKAHEAD]) / 2 + 0.5
    carried = MARGIN + SPAN * F.avg_pool2d(luma[:, None], 2)
    with torch.no_grad():
        cells = enlarge_linearly(carried) + correction(carried, rounded=True)
    expected = (F.pixel_shuffle(cells.relu(), 2)[:, 0] - MARGIN) / SPAN
    assert (expected - luma).abs().max() > 0.05  # the correction does something
    assert (result - expected).abs().max() * 255 < 1  # the polygon that undoes the squashing, colours at edges


def test_equal_frames_stay_equal() -> None:
    still = F.avg_pool2d(torch.rand(3, 1, 128, 128), 3, 1, 1).expand(-1, 25, -1, -1) * 2 - 1
    result = decoded(nano.build(0, random_correction()), still)
    assert (result - result[:, :1]).abs().max() * 127.5 < 0.01  # the order of sums differs


def test_a_decoder_too_narrow_for_it_is_refused() -> None:
    narrow = FlashVSR(nano.DIT, nano.LQ, DecoderParams((101, 101, 46, 16)), torch.zeros(nano.PROMPT_SHAPE))
    with pytest.raises(ValueError, match="46 channels"):
        lay_correction(random_correction(), narrow.decoder)


def test_training_beats_the_linear_filter_and_saves_what_the_loader_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    correction = train(synthetic_footage(), CorrectionParams(), SMALL, torch.device("cpu"))
    assert f"step {SMALL.steps}" in capsys.readouterr().out
    high = synthetic_footage().videos[0].frames[:4].float()
    low = enlarge(shrink(high, 2, bicubic=False), 2)
    carried = MARGIN + SPAN * F.avg_pool2d(luma_of(low.transpose(0, 1))[:, None] / 255, 2)
    wanted = F.pixel_unshuffle(luma_of(high.transpose(0, 1))[:, None] / 255, 2) * SPAN + MARGIN
    with torch.no_grad():
        linear = enlarge_linearly(carried)
        error, before = ((x - wanted).square().mean() for x in (linear + correction(carried), linear))
    assert error < 0.9 * before
    nano.save(nano.build(0, correction), tmp_path)
    assert not load_model(tmp_path, "cpu", torch.float32).notes


def test_the_same_seed_gives_the_same_weights() -> None:
    plan = Plan(steps=2, clips=2, side=64, frames=2)
    first, second = (train(synthetic_footage(), CorrectionParams(), plan, torch.device("cpu")) for _ in range(2))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_clips_are_the_same_for_the_same_seed() -> None:
    first, second, other = (ClipSampler(synthetic_footage(), 64, 9, 0.0, 0.0, seed).clip()[0] for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_compressed_clip_lies_where_its_original_does() -> None:
    sampler = ClipSampler(synthetic_footage(), 64, 4, 0.0, 1.0, seed=3)
    for _ in range(8):
        high, low = sampler.clip()
        assert low is not None
        assert (F.avg_pool2d(high, 2) - low).abs().max() <= 1  # these halves were not compressed, only cut


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        (Degradation(four=1, blurred=0, noisy=0), "x4"),
        (Degradation(four=0, blurred=0, noisy=0), "x2"),
        (Degradation(four=0, blurred=1, noisy=0), "blurred"),
        (Degradation(four=0, blurred=0, noisy=1), "noisy"),
    ],
)
def test_degraded_clips_keep_size_and_brightness(how: Degradation, kind: str) -> None:
    clip = synthetic_footage().videos[0].frames[:3].float()
    name, low = degrade(clip, how, np.random.default_rng(0))
    assert kind in name
    assert low.shape == clip.shape
    assert (low.mean() - clip.mean()).abs() < 2
    assert (low - clip).abs().mean() > 0.1


def test_grain_is_fine_and_without_shift() -> None:
    clip = torch.full((4, 3, 64, 64), 128.0)
    grain = add_grain(clip, np.random.default_rng(0)) - clip
    assert 0.3 < grain.std() < 4
    assert grain.mean().abs() < 0.2


def test_nothing_to_train_on_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no video and no photo"):
        Footage.read([tmp_path], torch.device("cpu"), 100)
