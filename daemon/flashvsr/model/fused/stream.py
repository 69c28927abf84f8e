"""The stream whose stages run on fused kernels. The schedule is that of `flashvsr.model.stream`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor

from flashvsr.kernels.gpu.attention_kernels import kernel_for
from flashvsr.model.attention import KeyValueRing, attended_slots
from flashvsr.model.blocks import from_blocks
from flashvsr.model.color_correction import correct_color
from flashvsr.model.dit import PATCH
from flashvsr.model.fused.decoder import NARROW, DecoderWeights, FusedDecoder
from flashvsr.model.fused.dit import DitWeights, FusedWindow, run_head, run_layer
from flashvsr.model.fused.lq_projection import TILE, FusedLqProjection, LqWeights
from flashvsr.model.fused.recording import Recorder
from flashvsr.model.fused.rings import DeviceRings, HostRings, Rings
from flashvsr.model.network import FlashVSR
from flashvsr.model.stream import Stream, StreamOptions
from flashvsr.model.windows import Window, window

ANY_LATER = window(1)  # stands for all windows but the first


def _fits(channels: int, columns: int) -> bool:
    """Whether they are whole tiles of that many columns, or one smaller tile."""
    return channels % columns == 0 or channels in (64, 128)


def unsuitable(model: FlashVSR) -> str | None:
    """Why the fused kernels cannot take a model, or None."""
    if model.dtype not in (torch.bfloat16, torch.float16):
        return f"it computes in {str(model.dtype).removeprefix('torch.')}, the kernels in 16 bits"
    for name, channels, tile in (
        ("decoder", model.decoder.params.channels, NARROW.columns),
        ("LQ projection", model.lq_projection.params.hidden, TILE.columns),
    ):
        if not all(_fits(channel, tile) for channel in channels):
            widths = ", ".join(map(str, channels))
            return f"its {name} has {widths} channels, and the kernels take 64, 128 or multiples of {tile}"
    return None


class FusedModel:
    """A model's weights as the kernels read them. They are taken over: the model itself is of no use afterwards."""

    def __init__(self, model: FlashVSR, attention: str = "triton", eight_bits: bool = False) -> None:
        """`attention`: "triton" or "block_sparse_attn"; the model must be one that `unsuitable` finds nothing about.

        `eight_bits`: the transformer's wide matrix products compute in 8 bits, on compute capability 9.0 and newer.
        """
        self.model, self.attention = model, attention
        self.eight_bits = eight_bits
        self.attend = kernel_for(attention, model.device)
        with torch.no_grad():
            self.dit = DitWeights(model.dit, model.conditioning(), eight_bits)
            self.lq = LqWeights(model.lq_projection)
            self.decoder = DecoderWeights(model.decoder)


class FusedStream(Stream):
    """One video going through a fused model.

    `offload_cache`, `small_batches`, `strips`: see `flashvsr.upscaling.savings.Thrift`. `records`: whether windows may
    be recorded and replayed, see `flashvsr.model.fused.recording`.
    """

    def __init__(
        self,
        fused: FusedModel,
        height: int,
        width: int,
        options: StreamOptions,
        origin: int = 0,
        records: bool = True,
        offload_cache: bool = False,
        small_batches: bool = False,
        strips: int = 1,
    ) -> None:
        super().__init__(fused.model, height, width, options, origin)
        self.fused = fused
        like, blocks = fused.dit.head.weight, len(self.sparsity.allowed)
        kind = HostRings if offload_cache else DeviceRings
        self.rings: Rings = kind(len(fused.dit.layers), self.slots, blocks, fused.model.dit.params.dim, like)
        self.lq_projection = FusedLqProjection(fused.lq, self.rows, self.columns)
        self.decoder = FusedDecoder(fused.decoder, height, width, small_batches, strips)
        self._slots: dict[tuple[int, ...], Tensor] = {}
        # Which groups travel to host memory and back differs from window to window, and what the extension does inside
        # is its own business.
        recordable = self.model.device.type == "cuda" and not offload_cache and fused.attention == "triton"
        self._recorder = Recorder() if records and recordable else None

    def _new_rings(self, offload: bool) -> list[KeyValueRing]:
        return []  # they have another form here

    def make(self, step: Window, lq: Tensor, condition: Tensor, noise: Tensor) -> Tensor:
        """See `Stream.make`."""
        if step.is_first or self._recorder is None:
            return super().make(step, lq, condition, noise)
        where = self.window(step)
        noise = _upload(noise, self.model.device, self.model.dtype)
        return self._recorder(self._make_later, lq, condition, noise, *where.rope, where.written, where.attended)

    def _make_later(
        self, lq: Tensor, condition: Tensor, noise: Tensor, cos: Tensor, sin: Tensor, written: Tensor, attended: Tensor
    ) -> Tensor:
        """A window after the first one; all that tells one from another comes in tensors."""
        where = FusedWindow((cos, sin), written, attended, self.sparsity, self.fused.attend)
        return self.decode(self._denoise(ANY_LATER, lq, noise, where), condition)

    def denoise(self, step: Window, lq: Tensor, noise: Tensor) -> Tensor:
        """See `Stream.denoise`."""
        self.rings.begin([group % self.slots for group in step.groups])
        noise = _upload(noise, self.model.device, self.model.dtype)
        return self._denoise(step, lq, noise, self.window(step))

    def _denoise(self, step: Window, lq: Tensor, noise: Tensor, where: FusedWindow) -> Tensor:
        tokens = self.project(step, lq)
        x = self.transform(self.model.dit.patchify(noise), tokens, where)
        patches = from_blocks(x, self.rows, self.columns)
        return noise - rearrange(patches, "f h w (y x c) -> c f (h y) (w x)", y=PATCH, x=PATCH)

    def project(self, step: Window, lq: Tensor) -> list[Tensor]:
        """See `Stream.project`."""
        if step.is_first:
            self.lq_projection.start(lq[:, :1])
            lq = lq[:, 1:]
        return self.lq_projection(lq)

    def transform(self, x: Tensor, tokens: list[Tensor], window: FusedWindow) -> Tensor:
        """All layers and the head: tokens (tokens, dim) -> patches (tokens, 64)."""
        pending = None
        for index, layer in enumerate(self.fused.dit.layers):
            if index < len(tokens):
                x += tokens[index]
            pending = run_layer(layer, x, pending, window, self.rings, index)
        assert pending is not None
        return run_head(self.fused.dit, x, pending)

    def decode(self, latents: Tensor, condition: Tensor) -> Tensor:
        """See `Stream.decode`."""
        frames, done = torch.empty(condition.shape, dtype=torch.float32, device=condition.device), 0
        for part in self.decoder(latents, condition):
            there = slice(done, done + part.shape[1])
            frames[:, there] = correct_color(part, condition[:, there], self.options.color_fix)
            done = there.stop
        return frames

    def window(self, step: Window) -> FusedWindow:
        """Positions and neighbourhood of a window's tokens, as `Stream.context` has them."""
        written = self._on_device([group % self.slots for group in step.groups])
        attended = self._on_device(attended_slots(step.groups, self.options.kv_ratio, self.slots))
        return FusedWindow(self.rope(step), written, attended, self.sparsity, self.fused.attend)

    def _on_device(self, slots: Sequence[int]) -> Tensor:
        """Few different ones are ever asked for; copying them again each time would wait for the GPU."""
        key = tuple(slots)
        if key not in self._slots:
            self._slots[key] = torch.tensor(key, dtype=torch.int32, device=self.model.device)
        return self._slots[key]


def _upload(x: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A copy out of pageable memory would wait until the GPU has caught up; one out of pinned memory does not."""
    x = x.to(dtype)
    if device.type == "cuda":
        x = x.pin_memory()  # PyTorch keeps the memory until the copy is done
    return x.to(device, non_blocking=True)
