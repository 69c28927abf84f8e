"""Windows that are recorded and replayed against windows that are not. Skipped where there is no CUDA device."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from flashvsr.model.fused.network import FusedModel
from flashvsr.model.fused.recording import Recorder, Recording
from flashvsr.model.fused.stages import fused_stages
from flashvsr.model.stream import Stream, StreamSpec
from kits.fused import small_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]
HEIGHT, WIDTH = 128, 256
ALWAYS = 0.0  # whoever holds it up
FRAMES = 21 + 8 * 8  # the ring of four groups comes round twice while windows are replayed


@pytest.fixture(scope="module")
def fused() -> FusedModel:
    return FusedModel(small_model(torch.device("cuda")))


@torch.inference_mode()
def frames(stream: Stream, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    source = (torch.rand(3, HEIGHT, WIDTH, generator=generator) * 2 - 1 for _ in range(FRAMES))
    return torch.cat(list(stream.run(source)), dim=1)


@pytest.mark.parametrize("strips", [1, 2])
def test_replayed_windows_are_the_same_to_the_bit(
    fused: FusedModel, strips: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stream(*, records: bool) -> Stream:
        return Stream(fused_stages(fused, StreamSpec(HEIGHT, WIDTH), records=records, strips=strips))

    expected = [frames(stream(records=False), seed) for seed in (1, 2)]
    called = []
    decode = Stream.decode

    def counting(self: Stream, latents: Tensor, condition: Tensor) -> Tensor:
        called.append(condition.shape[1])
        return decode(self, latents, condition)

    monkeypatch.setattr(Stream, "decode", counting)
    # One stream after the other, as files come: the second one must not read what the first one left behind.
    for seed, frames_expected in zip((1, 2), expected, strict=True):
        assert torch.equal(frames(stream(records=True), seed), frames_expected)
    # Of nine windows each: the first, one that compiles, one that is timed, the recording, for so small a picture
    # leaves the GPU waiting; and one more where that had not been measured yet.
    assert 8 <= len(called) <= 10


def test_a_finished_stream_is_freed_at_once(fused: FusedModel) -> None:
    frames(Stream(fused_stages(fused, StreamSpec(HEIGHT, WIDTH))), 1)  # whatever libraries keep for themselves
    gc.collect()
    gc.disable()
    try:
        before = torch.cuda.memory_allocated()
        frames(Stream(fused_stages(fused, StreamSpec(HEIGHT, WIDTH))), 1)
        assert torch.cuda.memory_allocated() == before
    finally:
        gc.enable()


def test_work_that_cannot_be_recorded_is_done_every_time() -> None:
    def work(x: Tensor) -> Tensor:
        if torch.cuda.is_current_stream_capturing():
            raise torch.OutOfMemoryError("no room for a second set of buffers")
        return 2 * x

    recorder = Recorder(ALWAYS)
    for value in range(5):
        assert recorder(work, torch.full((3,), value, device="cuda")).tolist() == 3 * [2 * value]


def test_other_shapes_are_recorded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[torch.Size] = []

    def counted(work: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Recording:
        made.append(inputs[0].shape)
        return Recording(work, inputs)

    monkeypatch.setattr("flashvsr.model.fused.recording.Recording", counted)
    recorder = Recorder(ALWAYS)
    for size in (2, 2, 2, 2, 3, 3, 3, 2, 2):
        assert recorder(lambda x: x + 1, torch.zeros(size, device="cuda")).tolist() == size * [1]
    assert made == [torch.Size([2]), torch.Size([3])]


def test_work_that_keeps_the_gpu_busy_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("flashvsr.model.fused.recording.Recording")
    recorder = Recorder()
    large = torch.ones(16384, 16384, device="cuda", dtype=torch.bfloat16)
    assert [recorder(torch.mm, large, large)[0, 0].item() for _ in range(4)] == 4 * [16384]  # one launch, 20 ms of work


def test_results_outlive_the_next_call() -> None:
    recorder = Recorder(ALWAYS)
    results = [recorder(lambda x: x * 1, torch.full((2,), value, device="cuda")) for value in range(5)]
    assert [int(result[0]) for result in results] == [0, 1, 2, 3, 4]
