"""The one schedule of the model: frames in, frames out, window by window, with bounded memory.

    window(i) = project -> layers -> head -> decode -> colour

Each stage is a method of `Stream` that takes tensors and the stream's state; `Stream.run` is the schedule.
The plan of a window (which frames, which positions) comes from `windows` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count

import torch
from torch import Tensor

from flashvsr.model.attention import KeyValueRing, Sparsity, WindowContext, attended_slots
from flashvsr.model.blocks import BLOCK_SIDE
from flashvsr.model.color_correction import correct_color
from flashvsr.model.dit import LATENT_CHANNELS
from flashvsr.model.lq_projection import LqMemory
from flashvsr.model.network import FlashVSR
from flashvsr.model.rope import rope_table
from flashvsr.model.windows import FIRST_LATENTS, LATENTS_PER_GROUP, Window, window

MULTIPLE = 128  # pixels of a block's side: height and width are multiples of it
LATENT_CELL = 8  # pixels per latent pixel
TOKEN_CELL = 16  # pixels per token
REFERENCE_HEIGHT, REFERENCE_WIDTH = 768, 1280  # the picture for which sparse_ratio is the top-k ratio itself


@dataclass(frozen=True)
class StreamOptions:
    """What a person may choose; see the preset."""

    sparse_ratio: float = 2.0
    local_range: int = 11
    color_fix: str = "adain"
    seed: int = 0
    kv_ratio: int = 3


@dataclass
class StreamState:
    """Everything that lives from window to window.

    Attributes:
        origin: windows of the whole video that lie before this stream's window 0, when it starts in the middle.
        rings: per layer, kept keys and values.
        lq_memory: what the LQ projection remembers; None before the first frame.
        decoder_memory: what the decoder remembers; empty before the first window.
    """

    origin: int
    rings: list[KeyValueRing]
    lq_memory: LqMemory | None = None
    decoder_memory: dict[str, Tensor] = field(default_factory=dict)


class Stream:
    """One video of height x width pixels going through a model.

    `origin`: windows of the video before this stream's first one, where it starts in the middle. `offload_cache`: kept
    keys and values stay in host memory, for GPUs with little of their own.
    """

    def __init__(
        self,
        model: FlashVSR,
        height: int,
        width: int,
        options: StreamOptions,
        origin: int = 0,
        offload_cache: bool = False,
    ) -> None:
        if height % MULTIPLE or width % MULTIPLE or height < MULTIPLE or width < MULTIPLE:
            raise ValueError(f"the model needs multiples of {MULTIPLE} pixels, not {width}x{height}")
        self.model, self.options = model, options
        self.height, self.width = height, width
        self.rows, self.columns = height // TOKEN_CELL, width // TOKEN_CELL
        grid = self.rows // BLOCK_SIDE, self.columns // BLOCK_SIDE
        self.sparsity = Sparsity.for_grid(
            *grid,
            topk_ratio=options.sparse_ratio * REFERENCE_HEIGHT * REFERENCE_WIDTH / (height * width),
            local_range=options.local_range,
            device=model.device,
        )
        self.slots = ring_slots(options.kv_ratio)
        self.state = StreamState(origin, self._new_rings(offload_cache))

    def _new_rings(self, offload: bool) -> list[KeyValueRing]:
        heads, blocks = self.model.dit.params.heads, len(self.sparsity.allowed)
        return [
            KeyValueRing(heads, blocks, self.slots, self.model.dtype, self.model.device, offload)
            for _ in range(self.model.dit.params.layers)
        ]

    def run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Upscale a stream of frames.

        Args:
            frames: low-quality frames (3, H, W) in [-1, 1], already at the model's size.

        Yields:
            Finished frames (3, n, H, W) in [-1, 1], 21 or 8 at a time and fewer at the end; as many in all as came in.
        """
        source = _FrameWindow(frames, self.model.dtype, self.model.device)
        for index in count():
            step = window(index)
            source.read_to(step.lq[1])
            if source.ended_at is not None and source.ended_at <= step.output[0]:
                return
            noise = draw_noise(self.options.seed, self._noise_index(step), self.noise_shape(step))
            condition = source.frames(*step.output)
            output = self.make(step, source.frames(*step.lq), condition, noise)
            if source.ended_at is not None:
                output = output[:, : source.ended_at - step.output[0]]
            yield output
            source.drop_before(min(window(index + 1).output[0], window(index + 1).lq[0]))

    def make(self, step: Window, lq: Tensor, condition: Tensor, noise: Tensor) -> Tensor:
        """A window's LQ frames (3, F, H, W), the ones that it finishes (3, n, H, W) and noise -> finished frames."""
        return self.decode(self.denoise(step, lq, noise), condition)

    def denoise(self, step: Window, lq: Tensor, noise: Tensor) -> Tensor:
        """LQ frames of a window (3, F, H, W) and noise (16, f, H/8, W/8) -> clean latents of noise's shape."""
        context = self.context(step)
        noise = noise.to(self.model.device, self.model.dtype)
        tokens = self.project(step, lq)
        x = self.model.dit.patchify(noise)
        x = self.layers(x, tokens, context, range(self.model.dit.params.layers))
        return noise - self.model.dit.unpatchify(x, self.model.conditioning(), self.rows, self.columns)

    def project(self, step: Window, lq: Tensor) -> list[Tensor]:
        """Stage 1: LQ frames (3, F, H, W) -> tokens (tokens, dim) for each fed layer."""
        if step.is_first:
            self.state.lq_memory = self.model.lq_projection.start(lq[:, :1])
            lq = lq[:, 1:]
        assert self.state.lq_memory is not None, "window 0 comes first"
        return self.model.lq_projection(lq, self.state.lq_memory)

    def layers(self, x: Tensor, tokens: list[Tensor], context: WindowContext, layers: range) -> Tensor:
        """Stage 2: tokens (tokens, dim) through some layers of the transformer."""
        return self.model.dit.run_layers(x, tokens, self.model.conditioning(), self.state.rings, context, layers)

    def decode(self, latents: Tensor, condition: Tensor) -> Tensor:
        """Stage 3: latents (16, f, H/8, W/8) and their frames (3, F, H, W) -> corrected frames (3, F, H, W)."""
        frames = self.model.decoder(latents, condition, self.state.decoder_memory)
        return correct_color(frames, condition, self.options.color_fix)

    def context(self, step: Window) -> WindowContext:
        """Positions and neighbourhood of a window's tokens."""
        slots = torch.tensor(attended_slots(step.groups, self.options.kv_ratio, self.slots), device=self.model.device)
        return WindowContext(step.groups, self.rope(step), slots, self.sparsity)

    def rope(self, step: Window) -> tuple[Tensor, Tensor]:
        """Cosines and sines of a window's tokens; positions count from the start of the whole video."""
        shift = LATENTS_PER_GROUP * self.state.origin
        positions = (step.latents[0] + shift, step.latents[1] + shift)
        return rope_table(positions, self.rows, self.columns, self.model.device)

    def noise_shape(self, step: Window) -> tuple[int, int, int, int]:
        """(16, f, H/8, W/8)."""
        return (
            LATENT_CHANNELS,
            step.latent_count,
            self.height // LATENT_CELL,
            self.width // LATENT_CELL,
        )

    def _noise_index(self, step: Window) -> int:
        return step.index + self.state.origin


def ring_slots(kv_ratio: int) -> int:
    """Groups that a ring has room for: what a window attends to, and at least what the first one makes."""
    return max(kv_ratio + 1, FIRST_LATENTS // LATENTS_PER_GROUP)


def draw_noise(seed: int, index: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise that depends on the seed and the window alone, drawn on the CPU for every device."""
    # PyTorch's generator takes 32 bits of a seed; hashed, neighbouring seeds and windows share nothing.
    mixed = int.from_bytes(sha256(f"{seed} {index}".encode()).digest()[:4], "big")
    return torch.randn(shape, generator=torch.Generator().manual_seed(mixed))


class _FrameWindow:
    """The few input frames still needed, addressed by their number; the last one repeats beyond the end."""

    def __init__(self, frames: Iterable[Tensor], dtype: torch.dtype, device: torch.device) -> None:
        self._source = iter(frames)
        self._dtype, self._device = dtype, device
        self._held: list[Tensor] = []
        self._first = 0
        self.ended_at: int | None = None

    def read_to(self, stop: int) -> None:
        """Have all frames before `stop`."""
        while self._first + len(self._held) < stop:
            frame = None if self.ended_at is not None else next(self._source, None)
            if frame is None:
                if self.ended_at is None:
                    self.ended_at = self._first + len(self._held)
                if not self._held:
                    return
                self._held.append(self._held[-1])
            else:
                self._held.append(frame.to(self._device, self._dtype))

    def frames(self, start: int, stop: int) -> Tensor:
        """Frames [start, stop) as (3, F, H, W)."""
        return torch.stack(self._held[start - self._first : stop - self._first], dim=1)

    def drop_before(self, index: int) -> None:
        """Forget the frames before `index`."""
        del self._held[: index - self._first]
        self._first = index
