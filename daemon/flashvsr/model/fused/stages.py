"""The stages on fused kernels, for one stream. Two of them are `FusedLqProjection` and `FusedDecoder` themselves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from einops import rearrange
from torch import Tensor

from flashvsr.kernels.fp8_attention import FORMAT
from flashvsr.model.attention import WindowContext
from flashvsr.model.blocks import from_blocks
from flashvsr.model.color_correction import correct_color
from flashvsr.model.dit import PATCH, Dit
from flashvsr.model.fused.decoder import FusedDecoder
from flashvsr.model.fused.dit import DitWeights, run_head, run_layer
from flashvsr.model.fused.lq_projection import FusedLqProjection
from flashvsr.model.fused.network import FusedModel
from flashvsr.model.fused.recording import Recorder
from flashvsr.model.fused.rings import DeviceRings, HostRings, Rings
from flashvsr.model.rope import rope_table
from flashvsr.model.spec import StreamSpec
from flashvsr.model.stages import Hidden, Stage, Stages, at_once, layer_ranges
from flashvsr.model.windows import Window


def fused_stages(
    fused: FusedModel,
    spec: StreamSpec,
    records: bool = True,
    offload_cache: bool = False,
    small_batches: bool = False,
    strips: int = 1,
    ranges: Sequence[range] | None = None,
) -> Stages:
    """The stages on fused kernels.

    Args:
        fused: the model.
        spec: the stream.
        records: whether windows may be recorded and replayed, see `flashvsr.model.fused.recording`.
        offload_cache: kept keys and values live in host memory, for GPUs with little of their own.
        small_batches: the decoder takes half as many frames at once, in less memory.
        strips: it decodes the picture in that many strips, in less memory still.
        ranges: which layers are a stage of their own; by default all of them are one.
    """
    parts = layer_ranges(len(fused.dit.layers), ranges)
    layers = tuple(FusedLayers(fused, spec, part, offload_cache) for part in parts)
    project = FusedLqProjection(fused.lq, spec.rows, spec.columns)
    embed, head = FusedEmbed(fused.model.dit), FusedHead(fused.dit, spec)
    decode = FusedDecoder(fused.decoder, spec.height, spec.width, small_batches, strips)
    # A recording is of one device. Which groups travel to host memory and back differs from window to window, and what
    # the extension does inside is its own business.
    stages: tuple[Stage, ...] = (project, embed, *layers, head, decode)
    devices = {stage.device for stage in stages}
    on_one_gpu = len(devices) == 1 and decode.device.type == "cuda"
    recordable = on_one_gpu and not offload_cache and fused.attention == "triton"
    return Stages(
        spec,
        fused.model.dtype,
        project,
        embed,
        layers,
        head,
        decode,
        partial(correct_color, method=spec.options.color_fix),
        Recorder() if records and recordable else at_once,
    )


class FusedEmbed:
    """See `Embed`."""

    def __init__(self, dit: Dit) -> None:
        self._dit = dit

    @property
    def device(self) -> torch.device:
        return self._dit.patch_embedding.weight.device

    def upload(self, noise: Tensor) -> Tensor:
        noise = noise.to(self._dit.patch_embedding.weight.dtype)
        if self.device.type == "cuda":
            # A copy out of pageable memory would wait until the GPU has caught up; one out of pinned memory does not.
            noise = noise.pin_memory()  # PyTorch keeps the memory until the copy is done
        return noise.to(self.device, non_blocking=True)

    def __call__(self, noise: Tensor) -> Hidden:
        return (self._dit.patchify(noise),)


class FusedLayers:
    """See `Layers`. What passes on is the residual stream, with what the last layer has left to add and its gate."""

    def __init__(self, fused: FusedModel, spec: StreamSpec, layers: range, offload_cache: bool) -> None:
        self.spec, self.layers = spec, layers
        self._weights, self._attend = [fused.dit.layers[index] for index in layers], fused.attend
        norm = self._weights[0].norm_q
        self.device = norm.device
        like = norm if fused.attend.eight is None else norm.new_empty(0, dtype=FORMAT)
        self.sparsity = spec.sparsity(self.device)
        kind = HostRings if offload_cache else DeviceRings
        self.rings: Rings = kind(len(layers), spec.slots, len(self.sparsity.allowed), len(norm), like)
        self._slots: dict[tuple[int, ...], Tensor] = {}

    def begin(self, step: Window) -> WindowContext:
        spec = self.spec
        written = step.written(spec.slots)
        self.rings.begin(written)
        cos, sin = rope_table(step.positions(spec.origin), spec.rows, spec.columns, self.device)
        attended = step.attended(spec.slots, spec.options.kv_ratio)
        return WindowContext(cos, sin, self._on_device(written), self._on_device(attended))

    def __call__(self, hidden: Hidden, fed: Sequence[Tensor], window: WindowContext) -> Hidden:
        """See `Layers`; the residual stream is changed in place."""
        x, *left = hidden
        pending = (left[0], left[1]) if left else None
        for place, layer in enumerate(self._weights):
            if place < len(fed):
                x += fed[place]
            pending = run_layer(layer, x, pending, window, self.sparsity, self._attend, self.rings, place)
        assert pending is not None
        return x, *pending

    def _on_device(self, slots: Sequence[int]) -> Tensor:
        """Few different ones are ever asked for; copying them again each time would wait for the GPU."""
        key = tuple(slots)
        if key not in self._slots:
            self._slots[key] = torch.tensor(key, dtype=torch.int32, device=self.device)
        return self._slots[key]


class FusedHead:
    """See `Head`."""

    def __init__(self, weights: DitWeights, spec: StreamSpec) -> None:
        self._weights, self._spec = weights, spec

    @property
    def device(self) -> torch.device:
        return self._weights.head.weight.device

    def __call__(self, hidden: Hidden, noise: Tensor) -> Tensor:
        x, update, gate = hidden
        patches = from_blocks(run_head(self._weights, x, (update, gate)), self._spec.rows, self._spec.columns)
        return noise - rearrange(patches, "f h w (y x c) -> c f (h y) (w x)", y=PATCH, x=PATCH)
