"""The schedule: as many frames out as in, reproducible, with bounded memory, restartable in the middle."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from flashvsr.model import stream as module
from flashvsr.model.network import FlashVSR
from flashvsr.model.stages import PlainDecode, plain_stages
from flashvsr.model.stream import Stream, StreamOptions, StreamSpec, draw_noise
from flashvsr.model.windows import window
from kits.golden_cases import lq_video
from kits.windows import padded_length, window_count

SIDE = 128


def frames_of(video: Tensor) -> list[Tensor]:
    return list(video.unbind(1))


def stream_of(model: FlashVSR, *spec: Any) -> Stream:
    return Stream(plain_stages(model, StreamSpec(*spec)))


def upscale(model: FlashVSR, video: Tensor, origin: int = 0, **options: Any) -> Tensor:
    stream = stream_of(model, *video.shape[-2:], StreamOptions(**options), origin)
    return torch.cat(list(stream.run(frames_of(video))), dim=1)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 5, 24, 25, 26, 33, 40])
def test_as_many_frames_out_as_in(tiny: FlashVSR, count: int) -> None:
    stream = stream_of(tiny, SIDE, SIDE, StreamOptions())
    outputs = list(stream.run(frames_of(lq_video(count, SIDE, SIDE))))
    lengths = [output.shape[1] for output in outputs]
    assert sum(lengths) == count
    assert min(lengths) > 0
    assert lengths[:-1] == [21, 8, 8, 8][: len(lengths) - 1]
    assert len(lengths) == window_count(padded_length(count))
    for output in outputs:
        assert output.shape[0] == 3
        assert output.shape[2:] == (SIDE, SIDE)
        assert output.isfinite().all()
        assert output.abs().max() <= 1


def test_no_frames_in_no_frames_out(tiny: FlashVSR) -> None:
    assert list(stream_of(tiny, SIDE, SIDE, StreamOptions()).run([])) == []


@pytest.mark.slow
def test_the_last_frame_is_repeated(tiny: FlashVSR) -> None:
    """The schedule is the windows' plan over the padded video, as the golden tensors were made."""
    video = lq_video(27, SIDE, 2 * SIDE)
    padded = torch.cat([video, video[:, -1:].expand(-1, padded_length(27) - 27, -1, -1)], dim=1)
    stream = stream_of(tiny, SIDE, 2 * SIDE, StreamOptions(seed=3))
    expected = []
    for index in range(window_count(padded.shape[1])):
        step = window(index)
        noise = draw_noise(3, index, stream.stages.spec.noise_shape(step))
        latents = stream.denoise(step, padded[:, slice(*step.lq)], noise)
        expected.append(stream.decode(latents, padded[:, slice(*step.output)]))
    ours = upscale(tiny, video, seed=3)
    torch.testing.assert_close(ours, torch.cat(expected, dim=1)[:, :27])


@pytest.mark.slow
def test_the_seed_decides(tiny: FlashVSR) -> None:
    video = lq_video(25, SIDE, SIDE)
    first = upscale(tiny, video, seed=7)
    assert torch.equal(first, upscale(tiny, video, seed=7))
    other = upscale(tiny, video, seed=8)
    for part in (slice(0, 21), slice(21, 25)):
        assert (first[:, part] - other[:, part]).abs().max() > 1e-3


def test_noise_is_normal_and_never_the_same() -> None:
    shape = (16, 2, 32, 32)
    draws = [draw_noise(seed, index, shape) for seed in (0, 1, 2, 2**31) for index in (0, 1, 2, 10_000)]
    assert torch.equal(draws[5], draw_noise(1, 1, shape))
    flat = torch.stack(draws).flatten(1)
    assert flat.mean(1).abs().max() < 0.03
    assert (flat.std(1) - 1).abs().max() < 0.03
    correlation = torch.corrcoef(flat) - torch.eye(len(draws))
    assert correlation.abs().max() < 0.03
    assert not torch.equal(draw_noise(1, 23, shape), draw_noise(12, 3, shape)), "written together, both are 123"


def test_drawing_noise_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    draw_noise(1, 2, (4,))
    assert torch.equal(torch.get_rng_state(), before)


def held() -> tuple[int, int]:
    """Tensors that this process made since `gc.freeze`, and the bytes under them."""
    gc.collect()
    tensors = [thing for thing in gc.get_objects() if issubclass(type(thing), Tensor)]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return len(tensors), sum(storages.values())


@pytest.mark.slow
def test_memory_does_not_grow(tiny: FlashVSR) -> None:
    video = lq_video(8, SIDE, SIDE)
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()
    handed_out = 0

    def source() -> Iterator[Tensor]:
        nonlocal handed_out
        for index in range(85):
            frame = video[:, index % 8].clone()
            alive.add(frame)
            handed_out += 1
            yield frame
            del frame

    seen = []
    produced = 0
    gc.collect()
    gc.freeze()  # what was there before is looked through no more
    try:
        for output in stream_of(tiny, SIDE, SIDE, StreamOptions()).run(source()):
            produced += output.shape[1]
            assert handed_out <= produced + 4, "reads no further ahead than the model looks"
            del output
            seen.append((len(alive), *held()))
    finally:
        gc.unfreeze()
    assert produced == 85
    steady = seen[2:-1]  # after the first windows, before the last frame is repeated
    assert len(steady) >= 5
    assert len(set(steady)) == 1, steady
    assert steady[0][0] <= 12


def test_bfloat16_is_close(tiny: FlashVSR, tiny_half: FlashVSR) -> None:
    video = lq_video(25, SIDE, SIDE)
    half = upscale(tiny_half, video)
    assert half.dtype == torch.float32
    whole = upscale(tiny, video)
    assert (half.float() - whole).square().mean().sqrt() < 0.05 * whole.std()


def test_a_stream_may_start_in_the_middle(tiny: FlashVSR, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its windows have the positions and the noise that they would have in the whole video."""
    drawn: list[tuple[int, int]] = []

    def draw(seed: int, index: int, shape: tuple[int, ...]) -> Tensor:
        drawn.append((index, shape[1]))
        return draw_noise(seed, index, shape)

    monkeypatch.setattr(module, "draw_noise", draw)
    origin, video = 3, lq_video(45, SIDE, SIDE)
    whole = stream_of(tiny, SIDE, SIDE, StreamOptions())
    part = stream_of(tiny, SIDE, SIDE, StreamOptions(), origin)

    def rope(stream: Stream, index: int) -> tuple[Tensor, Tensor]:
        context = stream.stages.layers[0].begin(window(index))
        return context.cos, context.sin

    for index in range(1, 6):
        ours, theirs = rope(part, index), rope(whole, origin + index)
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    # Window 0 makes six latent frames, of which the last two are those of the whole video's window.
    last = [table.view(3, -1, 64)[-1] for table in rope(part, 0)]
    assert all(torch.equal(a, b) for a, b in zip(last, rope(whole, origin), strict=True))

    complete = torch.cat(list(whole.run(frames_of(video))), dim=1)
    indices = [index for index, _ in drawn]
    assert indices == list(range(len(indices)))
    drawn.clear()
    rest = torch.cat(list(part.run(frames_of(video[:, 8 * origin :]))), dim=1)
    assert drawn[0] == (origin, 6)
    assert [entry for entry in drawn[1:]] == [(origin + 1 + i, 2) for i in range(len(drawn) - 1)]
    assert rest.shape[1] == complete.shape[1] - 8 * origin


@pytest.mark.slow
def test_a_restarted_stream_comes_to_the_same_frames(tiny: FlashVSR) -> None:
    """After three windows the kept groups are the same but for what they remember of before."""
    origin, video = 2, lq_video(61, SIDE, 2 * SIDE)
    complete = upscale(tiny, video)[:, 8 * origin :]
    rest = upscale(tiny, video[:, 8 * origin :], origin)
    elsewhere = upscale(tiny, video[:, 8 * origin :], origin + 1)  # other noise, other positions
    tail = slice(37, None)
    same, other = ((complete - x)[:, tail].abs().mean() for x in (rest, elsewhere))
    assert same < 0.2 * other


@pytest.mark.slow
def test_parts_of_a_window_come_together(tiny: FlashVSR) -> None:
    """A decoder may make a window's frames part by part; each part is corrected by the frames that it belongs to."""

    class InParts(PlainDecode):
        def __call__(self, latents: Tensor, condition: Tensor) -> Iterator[Tensor]:
            for part in super().__call__(latents, condition):
                yield from part.split(5, dim=1)

    video = lq_video(30, SIDE, SIDE)
    stages = plain_stages(tiny, StreamSpec(SIDE, SIDE))
    found = list(Stream(replace(stages, decode=InParts(tiny))).run(frames_of(video)))
    assert torch.equal(torch.cat(found, dim=1), upscale(tiny, video))
