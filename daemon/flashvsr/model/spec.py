"""What a stream is asked for: the picture, what a person may choose, and where in the video it begins."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from flashvsr.kernels.shapes import BLOCK_SIDE
from flashvsr.model.attention import Sparsity
from flashvsr.model.cells import BLOCK_CELL, LATENT_CELL, TOKEN_CELL
from flashvsr.model.dit import LATENT_CHANNELS
from flashvsr.model.windows import Window, ring_slots

REFERENCE_HEIGHT, REFERENCE_WIDTH = 768, 1280  # the picture for which sparse_ratio is the top-k ratio itself


@dataclass(frozen=True)
class StreamOptions:
    """What a person may choose; see the preset."""

    sparse_ratio: float = 2.0
    local_range: int = 11
    color_fix: str = "adain"
    seed: int = 0
    kv_ratio: int = 3


@dataclass(frozen=True)
class StreamSpec:
    """One stream. Its stages are made for it, and its schedule goes by it.

    Attributes:
        height: pixels of the model's picture, a multiple of 128.
        width: the same across.
        options: what a person chose.
        origin: windows of the whole video that lie before this stream's window 0, when it starts in the middle.

    Raises:
        ValueError: the model cannot make pictures of this size.
    """

    height: int
    width: int
    options: StreamOptions = StreamOptions()
    origin: int = 0

    def __post_init__(self) -> None:
        sides = self.height, self.width
        if min(sides) < BLOCK_CELL or any(side % BLOCK_CELL for side in sides):
            raise ValueError(f"the model needs multiples of {BLOCK_CELL} pixels, not {self.width}x{self.height}")

    @property
    def rows(self) -> int:
        """Token rows of the picture."""
        return self.height // TOKEN_CELL

    @property
    def columns(self) -> int:
        """Token columns of the picture."""
        return self.width // TOKEN_CELL

    @property
    def slots(self) -> int:
        """Groups that a ring has room for."""
        return ring_slots(self.options.kv_ratio)

    def sparsity(self, device: torch.device) -> Sparsity:
        """Which block pairs may attend to each other, and how many do."""
        return Sparsity.for_grid(
            self.rows // BLOCK_SIDE,
            self.columns // BLOCK_SIDE,
            topk_ratio=self.options.sparse_ratio * REFERENCE_HEIGHT * REFERENCE_WIDTH / (self.height * self.width),
            local_range=self.options.local_range,
            device=device,
        )

    def noise_shape(self, step: Window) -> tuple[int, int, int, int]:
        """(16, f, H/8, W/8) of a window, which is the shape of its latents as well."""
        return LATENT_CHANNELS, step.latent_count, self.height // LATENT_CELL, self.width // LATENT_CELL
