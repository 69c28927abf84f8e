"""Which input frames, latent frames and output frames belong to which window of a stream.

A *window* is one step of the model. One latent frame stands for four video frames, the first latent frame of
a stream for one. All window arithmetic of the project lives here; everything else asks.
"""

from __future__ import annotations

from dataclasses import dataclass

FRAMES_PER_LATENT = 4
FRAMES_PER_WINDOW = 8
LATENTS_PER_GROUP = 2  # one group of attention blocks spans two latent frames
FIRST_LATENTS = 6  # latent frames of window 0
LOOKAHEAD = 4  # input frames a window reads beyond the last frame it produces


@dataclass(frozen=True)
class Window:
    """One step. Frame ranges are half-open and count the frames of the stream from 0."""

    index: int
    lq: tuple[int, int]  # frames the LQ projection takes in
    output: tuple[int, int]  # frames produced; also the frames the decoder is conditioned on
    latents: tuple[int, int]  # latent frames made

    @property
    def is_first(self) -> bool:
        """Whether this window opens the stream."""
        return self.index == 0

    @property
    def latent_count(self) -> int:
        """Latent frames made by this window."""
        return self.latents[1] - self.latents[0]

    @property
    def groups(self) -> range:
        """Groups of attention blocks made by this window, numbered through the stream."""
        return range(self.latents[0] // LATENTS_PER_GROUP, self.latents[1] // LATENTS_PER_GROUP)

    def number(self, origin: int) -> int:
        """Its number in the whole video, of which `origin` windows lie before this stream; noise goes by it."""
        return self.index + origin

    def positions(self, origin: int) -> tuple[int, int]:
        """Its latent frames, half-open and counted through the whole video: their places for RoPE."""
        shift = LATENTS_PER_GROUP * origin
        return self.latents[0] + shift, self.latents[1] + shift

    def written(self, slots: int) -> list[int]:
        """Slots of a ring of `slots` that its own groups go to."""
        return [group % slots for group in self.groups]

    def attended(self, slots: int, kv_ratio: int) -> list[int]:
        """Slots that it attends to, oldest group first: at most `kv_ratio` earlier groups, and its own."""
        return [group % slots for group in range(max(0, self.groups.start - kv_ratio), self.groups.stop)]


def window(index: int) -> Window:
    """Return window `index` of a stream."""
    if index == 0:
        return Window(0, lq=(0, 25), output=(0, 21), latents=(0, FIRST_LATENTS))
    shift = FRAMES_PER_WINDOW * index
    first_latent = FIRST_LATENTS + LATENTS_PER_GROUP * (index - 1)
    return Window(
        index,
        lq=(17 + shift, 25 + shift),
        output=(13 + shift, 21 + shift),
        latents=(first_latent, first_latent + LATENTS_PER_GROUP),
    )


def ring_slots(kv_ratio: int) -> int:
    """Groups that a ring has room for: what a window attends to, and at least what the first one makes."""
    return max(kv_ratio + 1, FIRST_LATENTS // LATENTS_PER_GROUP)
