"""What the golden tensors do not see of the transformer."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from flashvsr.model.dit import Dit, DitParams, timestep_embedding
from flashvsr.model.network import FlashVSR


def test_text_embedding_uses_the_tanh_gelu() -> None:
    dit = Dit(DitParams(dim=128, ffn=64, layers=1, text_dim=16))
    first, last = dit.text_embedding[0], dit.text_embedding[2]
    first.weight.mul_(8)  # where the two kinds of GELU differ most
    x = torch.randn(9, 16)
    ours = dit.text_embedding(x)
    torch.testing.assert_close(ours, last(F.gelu(first(x), approximate="tanh")))
    assert (ours - last(F.gelu(first(x)))).abs().max() > 1e-4


def test_feed_forward_uses_the_tanh_gelu() -> None:
    layer = Dit(DitParams(dim=128, ffn=64, layers=1, text_dim=16)).blocks[0]
    x = 3 * torch.randn(9, 128)
    torch.testing.assert_close(layer.ffn(x), layer.ffn[2](F.gelu(layer.ffn[0](x), approximate="tanh")))


def test_timestep_embedding() -> None:
    ours = timestep_embedding(1000, 256)
    assert ours.dtype == torch.float64
    for j in (0, 1, 77, 127):
        angle = 1000 * 10000 ** (-j / 128)
        assert math.isclose(ours[j], math.cos(angle), abs_tol=1e-9)
        assert math.isclose(ours[128 + j], math.sin(angle), abs_tol=1e-9)


def test_patches_there_and_back() -> None:
    """patchify is the convolution of the weights; unpatchify puts (row, column, channel) where it belongs."""
    dit = Dit(DitParams(dim=128, ffn=64, layers=1, text_dim=16))
    latents = torch.randn(16, 2, 16, 32)
    tokens = dit.patchify(latents)
    whole = dit.patch_embedding(latents[None])[0].permute(1, 2, 3, 0)  # (2, 8, 16, 128)
    torch.testing.assert_close(tokens[:128].view(2, 8, 8, 128), whole[:, :, :8], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(tokens[128:].view(2, 8, 8, 128), whole[:, :, 8:], atol=1e-5, rtol=1e-4)


def test_constants_are_computed_once(tiny: FlashVSR) -> None:
    first = tiny.conditioning()
    assert tiny.conditioning() is first
    assert first.time_modulation.shape == (6, 128)
    assert first.time.shape == (1, 128)
    assert [k.shape for k, _ in first.prompt] == 2 * [(1, 4, 128)]
