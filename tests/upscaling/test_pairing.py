"""Tags go with their frames, however many the model holds back, and in whatever pieces it gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
import torch
from torch import Tensor

from flashvsr.upscaling.pairing import Tagged, through


class Uneven:
    """Gives frames back in pieces of these lengths, when it has read `ahead` frames more."""

    def __init__(self, lengths: list[int], ahead: int) -> None:
        self.lengths, self.ahead = lengths, ahead

    def run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        source = iter(frames)
        held: list[Tensor] = []
        for length in self.lengths:
            while len(held) < length + self.ahead and (frame := next(source, None)) is not None:
                held.append(frame)
            yield torch.stack(held[:length], dim=1)
            del held[:length]


@pytest.mark.parametrize("ahead", [0, 3, 100])
def test_each_frame_keeps_its_tag(ahead: int) -> None:
    lengths = [4, 1, 5, 2]
    frames = (Tagged(torch.full((3, 2, 2), float(number)), f"frame {number}") for number in range(sum(lengths)))
    batches = list(through(Uneven(lengths, ahead), frames))
    assert [len(batch.tags) for batch in batches] == lengths
    pictures = [int(picture[0, 0, 0]) for batch in batches for picture in batch.pixels.unbind(1)]
    assert pictures == list(range(sum(lengths)))
    assert [tag for batch in batches for tag in batch.tags] == [f"frame {number}" for number in pictures]
