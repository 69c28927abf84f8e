"""The decoder: windows with memory, the order of repeating and mixing, the published names."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.model import decoder as module
from flashvsr.model.decoder import Decoder, DecoderParams, MemoryBlock, Upsample

HEIGHT, WIDTH = 32, 64
PARAMS = DecoderParams((12, 10, 8, 6))


def inputs(latents: int) -> tuple[Tensor, Tensor]:
    """Latents and their condition frames for a stream from its start."""
    return torch.randn(16, latents, HEIGHT // 8, WIDTH // 8), torch.rand(3, 4 * latents - 3, HEIGHT, WIDTH) * 2 - 1


@pytest.mark.parametrize("steps_at_once", [1, 2, 3])
@pytest.mark.parametrize("windows", [[6, 2, 2], [1, 1, 4]])
def test_windows_with_memory_are_as_all_at_once(
    monkeypatch: pytest.MonkeyPatch, windows: list[int], steps_at_once: int
) -> None:
    decoder = Decoder(PARAMS)
    latents, condition = inputs(sum(windows))
    monkeypatch.setattr(module, "STEPS_AT_ONCE", {"cpu": 1000})
    whole = decoder(latents, condition, {})
    monkeypatch.setattr(module, "STEPS_AT_ONCE", {"cpu": steps_at_once})
    memory: dict[str, Tensor] = {}
    parts, first = [], 0
    for count in windows:
        start, stop = max(0, 4 * first - 3), 4 * (first + count) - 3
        parts.append(decoder(latents[:, first : first + count], condition[:, start:stop], memory))
        assert parts[-1].shape == (3, stop - start, HEIGHT, WIDTH)
        first += count
    assert len(memory) == 9
    assert all(tensor.shape[0] == 1 for tensor in memory.values())
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-4)


def test_memory_matters() -> None:
    decoder = Decoder(PARAMS)
    latents, condition = inputs(4)
    whole = decoder(latents, condition, {})
    forgetful = decoder(latents[:, 2:], condition[:, 5:], {})
    assert (whole[:, 5:] - forgetful).abs().max() > 1e-3


def test_the_memory_does_not_hold_on_to_whole_windows() -> None:
    decoder = Decoder(PARAMS)
    memory: dict[str, Tensor] = {}
    decoder(*inputs(6), memory)
    for tensor in memory.values():
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


@pytest.mark.parametrize("times", [1, 2])
def test_mixing_before_repeating_is_as_published(times: int) -> None:
    layer = Upsample(6, times)
    x = torch.randn(3, 6, 4, 5)
    published = layer.conv(F.interpolate(x, scale_factor=2, mode="nearest"))  # (3, times*6, 8, 10)
    frames = [published[t, s * 6 : (s + 1) * 6] for t in range(3) for s in range(times)]
    torch.testing.assert_close(layer(x), torch.stack(frames), atol=1e-6, rtol=1e-5)


def test_memory_block() -> None:
    block = MemoryBlock(4)
    x, before = torch.randn(2, 4, 5, 5), torch.randn(1, 4, 5, 5)
    c0, c2, c4 = (block.conv[i] for i in (0, 2, 4))

    def step(now: Tensor, past: Tensor) -> Tensor:
        return F.relu(c4(F.relu(c2(F.relu(c0(torch.cat([now, past], 1)))))) + now)

    torch.testing.assert_close(block(x, before), torch.cat([step(x[:1], before), step(x[1:], x[:1])]))
    torch.testing.assert_close(block(x[:1], None), step(x[:1], torch.zeros_like(x[:1])))


def test_the_condition_comes_first_and_is_packed_by_channel_frame_row_column() -> None:
    """A first convolution that passes one input channel on shows which value it was."""
    decoder = Decoder(PARAMS)
    conv = decoder.decoder["1"]
    seen: list[Tensor] = []
    conv.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    latents, condition = inputs(2)  # 5 frames; the first is repeated in front: 0 0 0 0 | 1 2 3 4
    decoder(latents, condition, {})
    packed = torch.cat(seen)
    assert packed.shape == (2, 784, HEIGHT // 8, WIDTH // 8)
    for channel, frame, y, x in [(0, 0, 0, 0), (1, 2, 3, 4), (2, 3, 7, 7)]:
        at = ((channel * 4 + frame) * 8 + y) * 8 + x
        expected = torch.tanh(condition[channel, 1 + frame, y::8, x::8] / 3) * 3
        torch.testing.assert_close(packed[1, at], expected)
        torch.testing.assert_close(packed[0, at], torch.tanh(condition[channel, 0, y::8, x::8] / 3) * 3)
    torch.testing.assert_close(packed[:, 768:], torch.tanh(latents.transpose(0, 1) / 3) * 3)
