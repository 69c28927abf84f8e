"""The LQ projection: clip by clip as the whole sequence in one convolution."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from flashvsr.model.blocks import from_blocks
from flashvsr.model.lq_projection import LqMemory, LqProjection, LqProjectionParams

HEIGHT, WIDTH = 128, 256
GRID = HEIGHT // 16, WIDTH // 16


@pytest.fixture
def projection() -> LqProjection:
    return LqProjection(LqProjectionParams(hidden=(6, 10), dim=16, outputs=2))


def video(frames: int) -> Tensor:
    return torch.rand(3, frames, HEIGHT, WIDTH) * 2 - 1


def whole(projection: LqProjection, frames: Tensor) -> Tensor:
    """The definition over all frames at once: features (f, h, w, C) before the linear layers."""

    def layer(conv: torch.nn.Conv3d, gamma: Tensor, x: Tensor) -> Tensor:
        x = F.pad(x, (1, 1, 1, 1, 2, 0), mode="replicate")
        x = F.conv3d(x, conv.weight, conv.bias, stride=(2, 1, 1))
        return F.silu(x / x.norm(dim=1, keepdim=True) * x.shape[1] ** 0.5 * gamma)

    frames = torch.cat([frames[:, :1].expand(-1, 3, -1, -1), frames], dim=1)
    x = rearrange(frames, "c f (h p) (w q) -> 1 (c p q) f h w", p=16, q=16)
    x = layer(projection.conv1, projection.norm1.gamma, x)
    x = layer(projection.conv2, projection.norm2.gamma, x)
    return rearrange(x[:, :, 1:], "1 c f h w -> f h w c")  # the first clip yields nothing


def test_clips_are_as_the_whole(projection: LqProjection) -> None:
    projection.norm1.gamma.copy_(torch.rand_like(projection.norm1.gamma) + 0.5)
    frames = video(1 + 24 + 8 + 8)
    memory = projection.start(frames[:, :1])
    tokens: list[list[Tensor]] = []
    for start, stop in ((1, 25), (25, 33), (33, 41)):
        tokens.append(projection(frames[:, start:stop], memory))
    features = whole(projection, frames)
    for output, linear in enumerate(projection.linear_layers):
        ours = torch.cat([from_blocks(clip[output], *GRID) for clip in tokens])
        torch.testing.assert_close(ours, linear(features), atol=1e-5, rtol=1e-4)


def test_eight_frames_at_once_are_as_two_times_four(projection: LqProjection) -> None:
    """The reference takes in clips of four frames; two of them make one group."""
    frames = video(9)
    memory, other = (projection.start(frames[:, :1]) for _ in range(2))
    at_once = from_blocks(projection(frames[:, 1:], memory)[0], *GRID)
    features = []
    for start in (1, 5):
        seen: list[Tensor] = []
        hook = projection.norm2.register_forward_hook(lambda _m, _i, out, seen=seen: seen.append(F.silu(out)))
        step(projection, frames[:, start : start + 4], other)
        hook.remove()
        features.append(rearrange(seen[0], "1 c f h w -> f h w c"))
    assert [feature.shape[0] for feature in features] == [1, 1]
    torch.testing.assert_close(at_once, projection.linear_layers[0](torch.cat(features)), atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(memory.conv1, other.conv1)
    torch.testing.assert_close(memory.conv2, other.conv2, atol=1e-6, rtol=1e-4)


def step(projection: LqProjection, frames: Tensor, memory: LqMemory) -> None:
    """Take in four frames as `forward` does. It cannot: one latent frame cannot be put into blocks."""
    cells = rearrange(frames, "c f (h p) (w q) -> 1 (c p q) f h w", p=16, q=16)
    hidden = torch.cat([memory.conv1, cells], dim=2)
    hidden = F.silu(projection.norm1(projection.conv1(F.pad(hidden, (1, 1, 1, 1, 0, 0), mode="replicate"))))
    padded = F.pad(torch.cat([memory.conv2, hidden], dim=2), (1, 1, 1, 1, 0, 0), mode="replicate")
    projection.norm2(projection.conv2(padded))
    memory.conv1, memory.conv2 = cells[:, :, -2:], hidden[:, :, -2:]


def test_causal(projection: LqProjection) -> None:
    frames = video(17)
    changed = frames.clone()
    changed[:, 9:] = 0

    def tokens(x: Tensor) -> Tensor:
        memory = projection.start(x[:, :1])
        return from_blocks(projection(x[:, 1:], memory)[0], *GRID)  # (4, h, w, C)

    a, b = tokens(frames), tokens(changed)
    torch.testing.assert_close(a[:2], b[:2])
    assert (a[2:] - b[2:]).abs().max() > 1e-3


def test_the_memory_does_not_hold_on_to_whole_clips(projection: LqProjection) -> None:
    memory = projection.start(video(1))
    projection(video(24), memory)
    for tensor in (memory.conv1, memory.conv2):
        assert tensor.shape[2] == 2
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
