"""The conditional decoder on raster convolutions.

    1/8: two latent frames at a time -> 1/4: two -> 1/2: two of the four frames -> full size: one of the eight

The picture gets larger towards the end, and the time steps fewer, so that memory stays small and the GPU busy. Where
that is not enough, horizontal strips of the picture go through it one after the other: `flashvsr.model.fused.strips`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from flashvsr.kernels.gpu.last_taps import add_last_taps
from flashvsr.kernels.gpu.raster_convolution import Tile, convolve, convolve_enlarged
from flashvsr.kernels.last_taps import PRODUCTS, products_weight
from flashvsr.kernels.raster import Raster
from flashvsr.kernels.raster_convolution import fold_enlargement, taps_first
from flashvsr.model.cells import LATENT_CELL
from flashvsr.model.decoder import CONDITION_CHANNELS, Decoder, MemoryBlock, Upsample
from flashvsr.model.dit import LATENT_CHANNELS
from flashvsr.model.fused.dit import drop
from flashvsr.model.fused.strips import Strip, cut, margins_of
from flashvsr.model.windows import FRAMES_PER_LATENT, LATENTS_PER_GROUP

INPUT_CHANNELS = -(-(CONDITION_CHANNELS + LATENT_CHANNELS) // 64) * 64  # whole steps of the matrix product
BLOCKS = (("5", "6", "7"), ("11", "12", "13"), ("17", "18", "19"))  # memory blocks at 1/8, 1/4 and 1/2
WIDE, NARROW = Tile(128, 256, 64, 8, 3), Tile(128, 128, 64, 4, 3)


@dataclass(frozen=True)
class _Conv:
    weight: Tensor
    bias: Tensor | None = None


class DecoderWeights:
    """What the kernels read, in their order. The decoder gives its weights up."""

    def __init__(self, decoder: Decoder) -> None:
        layers = decoder.decoder
        self.channels = decoder.params.channels
        self.entry = [_conv(layers["1"], INPUT_CHANNELS), _conv(layers["3"])]
        self.blocks = {
            name: [_memory_conv(layer), *(_conv(conv) for conv in layer.convolutions()[1:])]
            for name, layer in layers.items()
            if isinstance(layer, MemoryBlock)
        }
        self.enlargements = [
            _enlargement(layers[up], layers[conv]) for up, conv in (("9", "10"), ("15", "16"), ("21", "22"))
        ]
        self.full = _conv(layers["24"])
        last = layers["26"]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        self.last, self.last_bias = products_weight(last.weight.detach()), last.bias.detach().float()
        drop(decoder)

    @property
    def convolutions(self) -> list[int]:
        """3x3 convolutions one behind the other at 1/8, 1/4, 1/2 and full size, without those that enlarge."""
        eighth, quarter, half = (sum(len(self.blocks[name]) for name in names) for names in BLOCKS)
        return [len(self.entry) + eighth, quarter, half, 2]  # `full` and `last`


def _conv(conv: nn.Module, channels: int | None = None) -> _Conv:
    assert isinstance(conv, nn.Conv2d)
    bias = None if conv.bias is None else conv.bias.detach().float()
    return _Conv(taps_first(conv.weight.detach(), channels), bias)


def _memory_conv(block: MemoryBlock) -> _Conv:
    conv = block.convolutions()[0]
    assert conv.bias is not None
    halves = conv.weight.detach().chunk(2, dim=1)
    return _Conv(torch.cat([taps_first(half) for half in halves]), conv.bias.detach().float())


def _enlargement(up: nn.Module, conv: nn.Module) -> Tensor:
    assert isinstance(up, Upsample)
    assert isinstance(conv, nn.Conv2d)
    return fold_enlargement(up.conv.weight.detach()[:, :, 0, 0], conv.weight.detach(), up.times)


class _Level:
    """The memory blocks of one size. What they remember belongs to whoever runs them.

    They change `frames` frames in place. Frame 0 of the raster is room for the frame before the first.
    """

    def __init__(self, weights: DecoderWeights, names: tuple[str, ...], frames: int, height: int, width: int) -> None:
        self.blocks = [weights.blocks[name] for name in names]
        like = self.blocks[0][0].weight
        channels = like.shape[1]
        self._x = Raster.zeros(1 + frames, height, width, channels, like)
        self._like = like
        self.tile = WIDE if channels % WIDE.columns == 0 else NARROW

    @property
    def frames(self) -> Raster:
        """The frames to work on."""
        return self._x.from_frame(1)

    def memories(self) -> list[Tensor]:
        """What the blocks remember when a stream begins."""
        return [torch.zeros_like(self._x.rows[: self._x.frame]) for _ in self.blocks]

    def run(self, count: int, memories: list[Tensor]) -> Raster:
        """All blocks on the first `count` frames; `memories` change in place."""
        x, frames = self._x, self.frames
        # Convolutions write whole rasters with their borders: what is between them lives for this call alone.
        a, b = (Raster.empty(count, x.height, x.width, x.channels, self._like) for _ in range(2))
        for (first, second, third), memory in zip(self.blocks, memories, strict=True):
            x.rows[: x.frame] = memory
            memory.copy_(x.rows[count * x.frame : (count + 1) * x.frame])
            convolve(x, first.weight, a, count, bias=first.bias, relu=True, previous=1, tile=self.tile)
            convolve(a, second.weight, b, count, bias=second.bias, relu=True, tile=self.tile)
            # A tile reads its residual before it writes, and nothing else reads these rows.
            convolve(b, third.weight, frames, count, bias=third.bias, residual=frames, relu=True, tile=self.tile)
        return frames


class FusedDecoder:
    """One stream's decoder, with its memory."""

    def __init__(
        self, weights: DecoderWeights, height: int, width: int, small_batches: bool = False, strips: int = 1
    ) -> None:
        """`height` x `width` pixels of the picture. `small_batches`: half as many frames at once, in less memory.

        `strips`: at most that many strips of the picture one after the other, in less memory still and more time, with
        small batches in any case. They make the same picture.
        """
        self.weights = weights
        self._strips = cut(height // LATENT_CELL, strips, margins_of(weights.convolutions))
        # Lines can only be taken out of one frame at a time.
        small_batches |= len(self._strips) > 1
        self._latents, self._halves = (1, 1) if small_batches else (LATENTS_PER_GROUP, FRAMES_PER_LATENT // 2)
        like = weights.full.weight
        eighth, quarter, half, full = (len(window) for window in self._strips[0].windows)
        w = width // LATENT_CELL
        self._entry = Raster.zeros(self._latents, eighth, w, INPUT_CHANNELS, like)
        self._levels = [
            _Level(weights, BLOCKS[0], self._latents, eighth, w),
            _Level(weights, BLOCKS[1], self._latents, quarter, 2 * w),
            _Level(weights, BLOCKS[2], self._halves, half, 4 * w),
        ]
        self._full = Raster.zeros(1, full, width, weights.channels[3], like)
        self._memories = [[level.memories() for level in self._levels] for _ in self._strips]

    @property
    def device(self) -> torch.device:
        """Where it computes: where its weights lie."""
        return self._entry.rows.device

    def __call__(self, latents: Tensor, condition: Tensor) -> Iterator[Tensor]:
        """Decode latents (16, f, H/8, W/8) with their frames (3, F, H, W); F = 4f, or 4f-3 at the start of a stream.

        Yields:
            (3, n, H, W) float32, about [-1, 1]: F frames in all, at most 8 at a time.
        """
        missing = -condition.shape[1] % FRAMES_PER_LATENT
        first = -missing
        for group in latents.split(self._latents, dim=1):
            last = first + FRAMES_PER_LATENT * group.shape[1]
            part = condition[:, max(0, first) : last]
            if first < 0:
                part = torch.cat([part[:, :1].expand(-1, missing, -1, -1), part], dim=1)
            frames = self._group(group, part)
            yield frames[:, max(0, -first) :]
            first = last

    def _group(self, latents: Tensor, condition: Tensor) -> Tensor:
        out = torch.empty(condition.shape, dtype=torch.float32, device=condition.device)
        for strip, memories in zip(self._strips, self._memories, strict=True):
            rows = strip.windows[0]
            lines = slice(LATENT_CELL * rows.start, LATENT_CELL * rows.stop)
            self._enter(latents[:, :, rows.start : rows.stop], condition[:, :, lines])
            self._decode(strip, memories, latents.shape[1], out[:, :, strip.core.start : strip.core.stop])
        return out

    def _enter(self, latents: Tensor, condition: Tensor) -> None:
        """Pack the frames and the latents into the first raster, squashed; from there to the first memory block."""
        pictures, target, count = self._entry.pictures(), self._levels[0], latents.shape[1]
        packed = rearrange(
            condition, "c (t f) (h y) (w x) -> t h w c f y x", f=FRAMES_PER_LATENT, y=LATENT_CELL, x=LATENT_CELL
        )
        pictures[..., :CONDITION_CHANNELS].unflatten(-1, packed.shape[3:]).copy_(_squash(packed))
        pictures[..., CONDITION_CHANNELS : CONDITION_CHANNELS + LATENT_CHANNELS] = _squash(
            rearrange(latents, "c t h w -> t h w c")
        )
        channels, like = self.weights.channels[0], self.weights.last
        entered = Raster.empty(count, self._entry.height, self._entry.width, channels, like)
        for conv, x, out in zip(self.weights.entry, (self._entry, entered), (entered, target.frames), strict=True):
            convolve(x, conv.weight, out, count, bias=conv.bias, relu=True, tile=target.tile)

    def _decode(self, strip: Strip, memories: list[list[Tensor]], count: int, out: Tensor) -> None:
        """What `_enter` made of `count` latents -> the strip's own lines (3, F, lines, W)."""
        weights, (eighth, quarter, half) = self.weights, self._levels
        x = eighth.run(count, memories[0]).lines(strip.source(0))
        convolve_enlarged(x, weights.enlargements[0], quarter.frames, count, tile=quarter.tile)
        quartered = quarter.run(count, memories[1])
        frame = 0
        for latent in range(count):
            # The enlargement makes two frames of each latent one; their weights lie one behind the other.
            for part in weights.enlargements[1].chunk(FRAMES_PER_LATENT // 2 // self._halves):
                x = quartered.from_frame(latent).lines(strip.source(1))
                convolve_enlarged(x, part, half.frames, 1, slices=self._halves, tile=NARROW)
                halved = half.run(self._halves, memories[2])
                for index in range(2 * self._halves):
                    x = halved.from_frame(index // 2).lines(strip.source(2))
                    self._finish(x, index % 2, strip, out[:, frame : frame + 1])
                    frame += 1

    def _finish(self, x: Raster, which: int, strip: Strip, out: Tensor) -> None:
        """A frame at half the size -> the strip's lines (3, 1, lines, W) of one of the two finished frames it holds."""
        weights, full = self.weights, self._full
        enlargement = weights.enlargements[2].chunk(2)[which]
        convolve_enlarged(x, enlargement, full, 1, relu=True, tile=NARROW)
        products = Raster.empty(
            1, full.height, full.width, PRODUCTS, weights.last_bias.new_empty(0, dtype=torch.float16)
        )
        convolve(full, weights.full.weight, products, 1, relu=True, last=weights.last, tile=NARROW)
        add_last_taps(products, weights.last_bias, 1, out, strip.core.start - strip.windows[3].start)


def _squash(x: Tensor) -> Tensor:
    return torch.tanh(x / 3) * 3
