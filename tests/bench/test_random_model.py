"""Random weights that behave like trained ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from flashvsr.bench.exactness import compare, make, plain_stream
from flashvsr.bench.pictures import drifting
from flashvsr.bench.random_model import random_model
from flashvsr.model.network import FlashVSR
from flashvsr.model.stages import plain_stages
from flashvsr.model.stream import Stream, StreamSpec
from kits.speed import SIZE, SMALL

CPU = torch.device("cpu")


def stream_of(model: FlashVSR) -> Stream:
    return Stream(plain_stages(model, StreamSpec(*SIZE)))


def test_the_same_seed_gives_the_same_weights_in_the_format_asked_for() -> None:
    one, other = (random_model("cpu", torch.bfloat16, SMALL).state_dict() for _ in range(2))
    assert {tensor.dtype for tensor in one.values()} == {torch.bfloat16}
    assert all(torch.equal(one[name], other[name]) for name in one)
    third = random_model("cpu", torch.bfloat16, SMALL, seed=1)
    assert not torch.equal(third.prompt, one["prompt"])


def test_values_keep_their_size_through_thirty_layers() -> None:
    model = random_model("cpu", torch.float32, replace(SMALL, dit=replace(SMALL.dit, layers=30)))
    sizes: list[float] = []
    for block in model.dit.blocks:
        block.register_forward_hook(lambda _layer, _inputs, output: sizes.append(float(output.std())))
    made = make(stream_of(model), CPU, SIZE, windows=1)
    assert len(sizes) == 30
    assert min(sizes) > 0.5
    assert max(sizes) < 10
    assert 0.5 < float(made.latents[0].std()) < 5
    assert made.frames[0].shape == (3, 21, 128, 128)


@pytest.mark.slow
def test_bfloat16_is_near_float32_and_a_wrong_result_is_not() -> None:
    model = random_model("cpu", torch.bfloat16, SMALL)
    found = make(stream_of(model), CPU, SIZE, windows=3)
    plain = make(plain_stream(random_model("cpu", torch.bfloat16, SMALL), SIZE), CPU, SIZE, windows=3)
    near = compare(found, plain)
    assert len(near.latent_errors) == len(near.psnr) == 3
    assert 1e-4 < max(near.latent_errors) < 0.05
    assert all(value is not None and 30 < value < 80 for value in near.psnr)
    assert near.drift is not None
    assert abs(near.drift) < 3
    other = make(stream_of(random_model("cpu", torch.float32, SMALL, seed=1)), CPU, SIZE, 3)
    far = compare(other, plain)
    assert min(far.latent_errors) > 0.5
    assert all(value is not None and value < 30 for value in far.psnr)


def test_latents_have_their_say_in_the_frames() -> None:
    model = random_model("cpu", torch.float32, SMALL)
    condition = torch.from_numpy(next(drifting(*SIZE, 1))).permute(2, 0, 1)[:, None].expand(-1, 8, -1, -1) / 127.5 - 1
    latents = torch.randn(16, 2, 16, 16, generator=torch.Generator().manual_seed(0))

    def frames(latents: Tensor) -> Tensor:
        return model.decoder(latents, condition, {})

    change = float((frames(latents) - frames(-latents)).std())
    assert change > 0.3 * float(frames(latents).std())
