"""Stages may be cut apart and put on several devices: what passes between them is all that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from flashvsr.bench.random_model import Shapes, random_model
from flashvsr.model.attention import WindowContext
from flashvsr.model.color_correction import correct_color
from flashvsr.model.decoder import DecoderParams
from flashvsr.model.dit import DitParams
from flashvsr.model.lq_projection import LqProjectionParams
from flashvsr.model.network import FlashVSR
from flashvsr.model.stages import Hidden, PlainEmbed, PlainHead, PlainLayers, Work, layer_ranges, plain_stages
from flashvsr.model.stream import Stream, StreamOptions, StreamSpec
from flashvsr.model.windows import Window, window
from kits.golden_cases import lq_video

SPEC = StreamSpec(128, 128, origin=2)
FED = 3  # layers that get tokens of the projection
DEEP = Shapes(
    DitParams(dim=128, ffn=64, layers=4, text_dim=16),
    LqProjectionParams((8, 12), dim=128, outputs=FED),
    DecoderParams((16, 12, 8, 8)),
    prompt=4,
)
META, CPU = torch.device("meta"), torch.device("cpu")


@pytest.fixture(scope="module")
def deep() -> FlashVSR:
    """Four layers of one head."""
    return random_model("cpu", torch.float32, DEEP)


@pytest.fixture(scope="module")
def video() -> Tensor:
    return lq_video(45, SPEC.height, SPEC.width)


@pytest.fixture(scope="module")
def expected(deep: FlashVSR, video: Tensor) -> Tensor:
    """What the stages make as they are by default, of the video."""
    with torch.inference_mode():
        return torch.cat(list(Stream(plain_stages(deep, SPEC)).run(video.unbind(1))), dim=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "ranges",
    [[range(1), range(1, 4)], [range(2), range(2, 3), range(3, 4)], [range(index, index + 1) for index in range(4)]],
)
def test_layers_in_several_ranges_make_the_same_frames(
    deep: FlashVSR, video: Tensor, expected: Tensor, ranges: list[range]
) -> None:
    parts = Stream(plain_stages(deep, SPEC, ranges=ranges))
    assert [part.layers for part in parts.stages.layers] == ranges
    assert torch.equal(torch.cat(list(parts.run(video.unbind(1))), dim=1), expected)


@pytest.mark.parametrize("ranges", [[], [range(1, 4)], [range(3)], [range(2), range(1, 4)], [range(4), range(4, 4)]])
def test_ranges_that_are_not_all_layers_in_order_are_refused(ranges: list[range]) -> None:
    with pytest.raises(ValueError, match="not the layers 0 to 3"):
        layer_ranges(4, ranges)


@pytest.mark.slow
def test_two_streams_share_nothing(deep: FlashVSR, video: Tensor, expected: Tensor) -> None:
    frames = list(video.unbind(1))
    one, other = (Stream(plain_stages(deep, SPEC)) for _ in range(2))
    turns = zip(one.run(frames), other.run([frame.flip(2) for frame in frames]), strict=True)
    assert torch.equal(torch.cat([mine for mine, _ in turns], dim=1), expected)


@pytest.mark.slow
def test_the_work_of_a_window_is_a_function_of_tensors(deep: FlashVSR, video: Tensor, expected: Tensor) -> None:
    """A recording must hold for every window: what the stages were told of another one since must not matter."""
    stages = plain_stages(deep, SPEC, ranges=[range(3), range(3, 4)])
    shapes = []

    def elsewhere(work: Work, *inputs: Tensor) -> Tensor:
        shapes.append([given.shape for given in inputs])
        for part in stages.layers:
            part.begin(window(20))
        return work(*(given.clone() for given in inputs))

    found = torch.cat(list(Stream(replace(stages, run=elsewhere)).run(video.unbind(1))), dim=1)
    assert torch.equal(found, expected)
    assert shapes[1:] == [shapes[1]] * 3, "a recording is of one shape"


class Elsewhere(PlainLayers):
    """Layers that are said to be on another device, and note what they are given there."""

    device = META

    def __init__(self, model: FlashVSR, spec: StreamSpec, layers: range) -> None:
        super().__init__(model, spec, layers, offload_cache=False)
        self.given: list[torch.device] = []

    def begin(self, step: Window) -> WindowContext:
        return WindowContext(*4 * [torch.zeros(1, device=META)])

    def __call__(self, hidden: Hidden, fed: Sequence[Tensor], window: WindowContext) -> Hidden:
        self.given += [x.device for x in (*hidden, *fed, *window)]
        return tuple(torch.zeros(x.shape) for x in hidden)


class HeadElsewhere(PlainHead):
    device = META

    def __call__(self, hidden: Hidden, noise: Tensor) -> Tensor:
        assert {x.device for x in (*hidden, noise)} == {META}
        return torch.zeros(noise.shape)


@pytest.mark.slow
@pytest.mark.parametrize(("place", "fed"), [(0, 2), (1, FED - 2)])
def test_what_passes_between_stages_goes_to_their_device(deep: FlashVSR, place: int, fed: int) -> None:
    ranges = [range(2), range(2, 4)]
    stages = plain_stages(deep, SPEC, ranges=ranges)
    layers: list[PlainLayers] = list(stages.layers)  # type: ignore[arg-type]
    layers[place] = moved = Elsewhere(deep, SPEC, ranges[place])
    stream = Stream(replace(stages, layers=tuple(layers), head=HeadElsewhere(deep, SPEC)))
    lq = torch.zeros(3, 25, SPEC.height, SPEC.width)
    frames = stream.make(window(0), lq, lq[:, :21], torch.zeros(SPEC.noise_shape(window(0))))
    assert moved.given == (1 + fed + 4) * [META], "tokens, those that are fed, and the window's numbers"
    assert frames.device == CPU


@pytest.mark.parametrize("method", ["adain", "wavelet", "none"])
def test_colours_are_corrected_as_the_preset_says(tiny: FlashVSR, method: str) -> None:
    colour = plain_stages(tiny, replace(SPEC, options=StreamOptions(color_fix=method))).colour
    frames, condition = (lq_video(2, 32, 48) * scale for scale in (0.5, -0.25))
    assert torch.equal(colour(frames, condition), correct_color(frames, condition, method))


def test_noise_comes_in_the_models_format(tiny_half: FlashVSR) -> None:
    assert PlainEmbed(tiny_half).upload(torch.zeros(16, 2, 16, 16)).dtype == torch.bfloat16
