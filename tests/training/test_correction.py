"""The learned corrections: their training, and that the decoder computes the same once they are laid in."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.bench.luma import luma_of
from flashvsr.bench.shrink import shrink
from flashvsr.errors import BadInput
from flashvsr.model.decoder import Decoder, DecoderParams
from flashvsr.model.loading import load_model
from flashvsr.model.network import FlashVSR
from flashvsr.model.stages import plain_stages
from flashvsr.model.stream import Stream, StreamSpec
from flashvsr.model.windows import LOOKAHEAD, window
from flashvsr.training import nano
from flashvsr.training.cascade import Cascade, enlarge_linearly
from flashvsr.training.channel_layout import MARGIN, SPAN
from flashvsr.training.data import Clip, ClipSampler, Footage, Proportions, Video, enlarge, make_grainy
from flashvsr.training.degrade import Degradation, degrade
from flashvsr.training.grain import add_grain
from flashvsr.training.lay_corrections import fix_half, lay_corrections
from flashvsr.training.optimise import Schedule, train
from kits.windows import window_count

CPU = torch.device("cpu")
SMALL = Schedule(steps=40, rate=1e-2, clips=4, side=64, frames=2, rounding=0.5)

TWO_STEPS = Schedule(steps=2, clips=2, side=64, frames=2)


@cache
def synthetic_footage() -> Footage:
    """A moving pattern of many frequencies. Nobody writes into it."""
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(160.0), indexing="ij")
    frames = [
        torch.stack([torch.sin((x + i) * a) * torch.cos((y - i) * b) for a, b in ((0.3, 0.2), (0.7, 0.5), (0.1, 0.9))])
        for i in range(30)
    ]
    pixels = (torch.stack(frames) * 100 + 128).round().to(torch.uint8)
    halves = shrink(pixels.float(), 2, bicubic=False).to(torch.uint8)
    video = Video(pixels, np.ones((30, 8, 10), dtype=np.float32), halves)
    return Footage([video], [make_grainy(video, 0)], [])


def random_cascade() -> Cascade:
    torch.manual_seed(1)
    cascade = Cascade(nano.CASCADE)
    with torch.no_grad():
        for parameter in cascade.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
        for correction in (cascade.at_quarter, cascade.at_half):  # they start without any effect
            correction.late[-1].kernels.normal_(std=0.1)
    return cascade


def decoded(model: FlashVSR, low: Tensor) -> Tensor:
    """What the decoder makes of (3, F, H, W), before the colour correction."""
    spec = StreamSpec(low.shape[2], low.shape[3])
    stream = Stream(plain_stages(model, spec))
    latents = []
    with torch.no_grad():
        for index in range(window_count(low.shape[1])):
            step = window(index)
            noise = torch.randn(spec.noise_shape(step))
            latents.append(stream.denoise(step, low[:, slice(*step.lq)], noise))
        return model.decoder(torch.cat(latents, dim=1), low[:, :-LOOKAHEAD], {})


@pytest.mark.parametrize("scale", [2, 4])
def test_the_decoder_computes_the_corrections_laid_into_it(scale: int) -> None:
    torch.manual_seed(0)
    cascade = random_cascade()
    model = nano.build(0, cascade)
    texture = F.avg_pool2d(torch.rand(3, 25, 128, 128), 5, 1, 2).transpose(0, 1) * 255
    low = enlarge(shrink(texture, scale, bicubic=False), scale).transpose(0, 1) / 127.5 - 1
    result = luma_of(decoded(model, low)) / 2 + 0.5
    luma = luma_of(low[:, :-LOOKAHEAD]) / 2 + 0.5
    carried = MARGIN + SPAN * F.avg_pool2d(luma[:, None], 2)
    with torch.no_grad():
        expected, half_alone = (in_pixels(cascade(carried, rounded=True)), half_correction(cascade, carried))
    assert (expected - half_alone).abs().max() > 0.02  # both corrections do something
    assert (half_alone - luma).abs().max() > 0.05
    assert (result - expected).abs().max() * 255 < 1  # the polygon that undoes the squashing, colours at edges


def in_pixels(cells: Tensor) -> Tensor:
    return (F.pixel_shuffle(cells.relu(), 2)[:, 0] - MARGIN) / SPAN


def half_correction(cascade: Cascade, carried: Tensor) -> Tensor:
    return in_pixels(enlarge_linearly(carried) + cascade.at_half(carried, carried, rounded=True))


def test_the_correction_at_half_size_is_kept_as_a_decoder_holds_it() -> None:
    decoder = nano.build(0, random_cascade()).decoder
    kept = random_cascade()
    with torch.no_grad():
        for parameter in kept.parameters():
            parameter.zero_()
    fix_half(kept, decoder)
    assert not any(parameter.requires_grad for parameter in kept.at_half.parameters())
    assert all(parameter.requires_grad for parameter in kept.at_quarter.parameters())
    again = nano.build(0, kept).decoder.decoder
    for block in ("18", "19"):
        for key, value in decoder.decoder[block].state_dict().items():
            assert torch.equal(again[block].state_dict()[key], value), key


def test_equal_frames_stay_equal() -> None:
    still = F.avg_pool2d(torch.rand(3, 1, 128, 128), 3, 1, 1).expand(-1, 25, -1, -1) * 2 - 1
    result = decoded(nano.build(0, random_cascade()), still)
    assert (result - result[:, :1]).abs().max() * 127.5 < 0.01  # the order of sums differs


@pytest.mark.parametrize("narrow", [(101, 101, 46, 16), (101, 96, 48, 16)])
def test_a_decoder_too_narrow_for_them_is_refused(narrow: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="too few"):
        lay_corrections(random_cascade(), Decoder(DecoderParams(narrow)))


@pytest.mark.parametrize("four", [0.0, 1.0])
def test_training_beats_the_linear_filter_and_saves_what_the_loader_takes(
    four: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = replace(SMALL, degradation=Degradation(four=four))
    torch.manual_seed(0)
    cascade = train(Cascade(nano.CASCADE), synthetic_footage(), plan, CPU)
    assert f"step {plan.steps}" in capsys.readouterr().out
    high = synthetic_footage().videos[0].frames[:4].float()
    scale = 4 if four else 2
    low = enlarge(shrink(high, scale, bicubic=False), scale)
    carried = MARGIN + SPAN * F.avg_pool2d(luma_of(low.transpose(0, 1))[:, None] / 255, 2)
    wanted = F.pixel_unshuffle(luma_of(high.transpose(0, 1))[:, None] / 255, 2) * SPAN + MARGIN
    with torch.no_grad():
        error, before = ((x - wanted).square().mean() for x in (cascade(carried), enlarge_linearly(carried)))
    assert error < 0.9 * before
    nano.save(nano.build(0, cascade), tmp_path)
    assert not load_model(tmp_path, "cpu", torch.float32).notes


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second = (nano.learn(synthetic_footage(), (TWO_STEPS, TWO_STEPS), None, CPU) for _ in range(2))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_correction_at_half_size_is_learned_first_and_then_kept() -> None:
    once, longer = (
        nano.learn(synthetic_footage(), (TWO_STEPS, replace(TWO_STEPS, steps=steps)), None, CPU) for steps in (2, 4)
    )
    for a, b in zip(once.at_half.parameters(), longer.at_half.parameters(), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, a.to(torch.bfloat16).float())
    results: list[Any] = [cascade.late[-1].kernels for cascade in (once.at_half, once.at_quarter, longer.at_quarter)]
    assert all(kernels.any() for kernels in results)
    assert not torch.equal(results[1], results[2])


def draw(shares: Proportions, length: int, seed: int) -> Clip:
    return ClipSampler(synthetic_footage(), 64, length, shares).clip(np.random.default_rng(seed))


def test_clips_are_the_same_for_the_same_seed() -> None:
    plain = Proportions(photo=0, compressed=0, grainy=0)
    first, second, other = (draw(plain, 9, seed).high for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_compressed_clip_lies_where_its_original_does() -> None:
    for seed in range(8):
        clip = draw(Proportions(photo=0, compressed=1, grainy=0), 4, seed)
        assert clip.low is not None
        assert (F.avg_pool2d(clip.high, 2) - clip.low).abs().max() <= 1  # these halves were not compressed, only cut


def test_grainy_videos_have_grain_that_changes_and_was_compressed() -> None:
    flat = Video(
        torch.full((20, 3, 64, 64), 128, dtype=torch.uint8), np.ones((20, 4, 4), dtype=np.float32), torch.empty(0)
    )
    frames = make_grainy(flat, 1).frames
    grain = frames.float() - 128
    assert frames.shape == flat.frames.shape
    assert 0.2 < grain.std() < 6
    assert grain.mean().abs() < 1
    assert grain.diff(dim=0).std() > 0.1
    assert not torch.equal(frames, make_grainy(flat, 2).frames)


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
    name, factor, low = degrade(clip, how, np.random.default_rng(0))
    assert kind in name
    assert factor == (4 if how.four else 2)
    assert low.shape == clip.shape
    assert (low.mean() - clip.mean()).abs() < 2
    assert (low - clip).abs().mean() > 0.1


def test_grain_is_fine_and_without_shift() -> None:
    clip = torch.full((4, 3, 64, 64), 128.0)
    grain = add_grain(clip, np.random.default_rng(0)) - clip
    assert 0.3 < grain.std() < 6
    assert grain.mean().abs() < 0.2


def test_nothing_to_train_on_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no video and no photo"):
        Footage.read([tmp_path], torch.device("cpu"), 100)
