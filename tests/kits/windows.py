"""How many windows a stream of a known length has. The product does not ask: it goes on until a video ends."""

from __future__ import annotations

from flashvsr.model.windows import FRAMES_PER_WINDOW

LEAST_INPUT_FRAMES = 25  # window 0 reads this many


def padded_length(frames: int) -> int:
    """Input frames needed to get at least `frames` frames out: the last frame is repeated up to here."""
    return max(LEAST_INPUT_FRAMES, FRAMES_PER_WINDOW * -(-(frames + 3) // FRAMES_PER_WINDOW) + 1)


def window_count(input_frames: int) -> int:
    """Windows in a stream of `input_frames` = 8m+1 >= 25 frames; together they produce `input_frames` - 4."""
    return (input_frames - 1) // FRAMES_PER_WINDOW - 2
