"""The stages that a window passes through, made for one stream; and their plain form.

    project -> embed -> layers, in one range or several -> head -> decode -> colour

A stage sits on the device where its weights lie, and owns what it remembers from window to window: nobody else reads
that. So two stages may sit on two devices, and the schedule (`flashvsr.model.stream`) hands over what passes between
them. The fused form is in `flashvsr.model.fused.stages`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from flashvsr.model.attention import KeyValueRing, WindowContext
from flashvsr.model.color_correction import correct_color
from flashvsr.model.lq_projection import LqMemory
from flashvsr.model.network import FlashVSR
from flashvsr.model.rope import rope_table
from flashvsr.model.spec import StreamSpec
from flashvsr.model.windows import Window

Hidden = tuple[Tensor, ...]
"""Tokens between two stages: (tokens, dim), and behind it what the form has not added to it yet, if anything."""
Work = Callable[..., Tensor]


class Stage(Protocol):
    """What all stages have."""

    @property
    def device(self) -> torch.device:
        """Where it computes, and wants what it is given."""


class Project(Stage, Protocol):
    """LQ frames to tokens, with the last frames' features for a memory."""

    def start(self, frame: Tensor) -> None:
        """Open the stream with its first frame (3, 1, H, W)."""

    def __call__(self, frames: Tensor) -> list[Tensor]:
        """The next frames (3, 4f, H, W) in [-1, 1] -> tokens (tokens, dim) for each fed layer."""


class Embed(Stage, Protocol):
    """Noise to the tokens that the layers start from."""

    def upload(self, noise: Tensor) -> Tensor:
        """Noise from host memory to the device, in the model's number format."""

    def __call__(self, noise: Tensor) -> Hidden:
        """Uploaded noise (16, f, H/8, W/8) -> tokens."""


class Layers(Stage, Protocol):
    """Some of the transformer's layers, one behind the other, with the keys and values that each keeps."""

    @property
    def layers(self) -> range:
        """Their numbers."""

    def begin(self, step: Window) -> WindowContext:
        """A window begins: what they need to know of it, on their device."""

    def __call__(self, hidden: Hidden, fed: Sequence[Tensor], window: WindowContext) -> Hidden:
        """Transform the tokens; `fed[i]` (tokens, dim) is added before layer i of these."""


class Head(Stage, Protocol):
    """Tokens to clean latents."""

    def __call__(self, hidden: Hidden, noise: Tensor) -> Tensor:
        """Tokens and the noise that they were made from (16, f, H/8, W/8) -> latents of its shape."""


class Decode(Stage, Protocol):
    """Latents to frames, with the last features of each size for a memory."""

    def __call__(self, latents: Tensor, condition: Tensor) -> Iterator[Tensor]:
        """Latents (16, f, H/8, W/8) and their frames (3, F, H, W) -> frames (3, n, H, W), F of them in all."""


Colour = Callable[[Tensor, Tensor], Tensor]
"""Frames and their condition (3, n, H, W), where `Decode` is -> corrected frames, float32 in [-1, 1]."""


def at_once(work: Work, *inputs: Tensor) -> Tensor:
    """Do the work of a window. Others may record it, and replay it with the next window's tensors."""
    return work(*inputs)


@dataclass(frozen=True)
class Stages:
    """All stages of one stream.

    Attributes:
        spec: what they are made for.
        dtype: number format of the frames that they take.
        layers: ranges that follow each other; together they are all layers.
        run: does the work of a window, as `at_once`.
    """

    spec: StreamSpec
    dtype: torch.dtype
    project: Project
    embed: Embed
    layers: tuple[Layers, ...]
    head: Head
    decode: Decode
    colour: Colour
    run: Callable[..., Tensor] = at_once


def plain_stages(
    model: FlashVSR, spec: StreamSpec, offload_cache: bool = False, ranges: Sequence[range] | None = None
) -> Stages:
    """The stages in plain PyTorch.

    Args:
        model: its weights; stays as it is.
        spec: the stream.
        offload_cache: kept keys and values stay in host memory, for GPUs with little of their own.
        ranges: which layers are a stage of their own; by default all of them are one.
    """
    parts = layer_ranges(model.dit.params.layers, ranges)
    return Stages(
        spec,
        model.dtype,
        PlainProject(model),
        PlainEmbed(model),
        tuple(PlainLayers(model, spec, part, offload_cache) for part in parts),
        PlainHead(model, spec),
        PlainDecode(model),
        partial(correct_color, method=spec.options.color_fix),
    )


def layer_ranges(layers: int, ranges: Sequence[range] | None) -> list[range]:
    """`ranges`, or one for all layers. Raises ValueError where they are not all layers in their order."""
    found = [range(layers)] if ranges is None else list(ranges)
    if [layer for part in found for layer in part] != list(range(layers)) or not all(found):
        raise ValueError(f"{found} are not the layers 0 to {layers - 1}, one range behind the other")
    return found


class _Plain:
    """A stage of a model that lies on one device."""

    def __init__(self, model: FlashVSR) -> None:
        self.model = model

    @property
    def device(self) -> torch.device:
        return self.model.device


class PlainProject(_Plain):
    """See `Project`."""

    memory: LqMemory | None = None

    def start(self, frame: Tensor) -> None:
        self.memory = self.model.lq_projection.start(frame)

    def __call__(self, frames: Tensor) -> list[Tensor]:
        assert self.memory is not None, "window 0 comes first"
        return self.model.lq_projection(frames, self.memory)


class PlainEmbed(_Plain):
    """See `Embed`."""

    def upload(self, noise: Tensor) -> Tensor:
        return noise.to(self.device, self.model.dtype)

    def __call__(self, noise: Tensor) -> Hidden:
        return (self.model.dit.patchify(noise),)


class PlainLayers(_Plain):
    """See `Layers`."""

    def __init__(self, model: FlashVSR, spec: StreamSpec, layers: range, offload_cache: bool) -> None:
        super().__init__(model)
        self.spec, self.layers = spec, layers
        self.sparsity = spec.sparsity(model.device)
        heads, blocks = model.dit.params.heads, len(self.sparsity.allowed)
        self.rings = [KeyValueRing(heads, blocks, spec.slots, model.dtype, model.device, offload_cache) for _ in layers]

    def begin(self, step: Window) -> WindowContext:
        spec = self.spec
        cos, sin = rope_table(step.positions(spec.origin), spec.rows, spec.columns, self.device)
        written = torch.tensor(step.written(spec.slots), dtype=torch.int32)
        attended = step.attended(spec.slots, spec.options.kv_ratio)
        return WindowContext(cos, sin, written, torch.tensor(attended, dtype=torch.int32, device=self.device))

    def __call__(self, hidden: Hidden, fed: Sequence[Tensor], window: WindowContext) -> Hidden:
        (x,), conditioning = hidden, self.model.conditioning()
        for place, (index, ring) in enumerate(zip(self.layers, self.rings, strict=True)):
            if place < len(fed):
                x = x + fed[place]
            layer, prompt = self.model.dit.blocks[index], conditioning.prompt[index]
            x = layer(x, conditioning.time_modulation, prompt, window, self.sparsity, ring)
        return (x,)


class PlainHead(_Plain):
    """See `Head`."""

    def __init__(self, model: FlashVSR, spec: StreamSpec) -> None:
        super().__init__(model)
        self.spec = spec

    def __call__(self, hidden: Hidden, noise: Tensor) -> Tensor:
        (x,), spec = hidden, self.spec
        return noise - self.model.dit.unpatchify(x, self.model.conditioning(), spec.rows, spec.columns)


class PlainDecode(_Plain):
    """See `Decode`."""

    def __init__(self, model: FlashVSR) -> None:
        super().__init__(model)
        self.memory: dict[str, Tensor] = {}

    def __call__(self, latents: Tensor, condition: Tensor) -> Iterator[Tensor]:
        """See `Decode`; all frames at once."""
        yield self.model.decoder(latents, condition, self.memory)
