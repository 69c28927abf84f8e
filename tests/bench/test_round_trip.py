"""Pictures on their way through a stream: all arrive, in order, and errors come out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from flashvsr.bench.pictures import drifting, repeated
from flashvsr.bench.round_trip import round_trip

SIZE = (128, 128)
ENGINE: Any = SimpleNamespace(device=torch.device("cpu"))


class Same:
    """Gives back what it is given, some frames at a time; `fails_at` that window."""

    def __init__(self, fails_at: int = -1) -> None:
        self.begun = 0
        self._fails_at = fails_at

    def run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        source = iter(frames)
        while window := list(islice(source, 4)):
            self.begun += 1
            if self.begun == self._fails_at:
                raise RuntimeError("the GPU is gone")
            yield torch.stack(window, dim=1)


@pytest.mark.parametrize("count", [1, 4, 5, 18, 40])
def test_all_pictures_arrive_in_order_and_unchanged(count: int) -> None:
    windows = list(round_trip(ENGINE, Same(), SIZE, drifting(*SIZE, count)))
    assert [len(window) for window in windows] == [4] * (count // 4) + ([count % 4] if count % 4 else [])
    assert np.array_equal(np.concatenate(windows), np.stack(list(drifting(*SIZE, count))))


def test_a_window_comes_when_the_next_has_begun_the_first_at_once() -> None:
    stream = Same()
    begun = [stream.begun for _ in round_trip(ENGINE, stream, SIZE, drifting(*SIZE, 16))]
    assert begun == [1, 3, 4, 4]


def test_an_error_comes_out() -> None:
    windows = round_trip(ENGINE, Same(fails_at=2), SIZE, drifting(*SIZE, 40))
    assert len(next(windows)) == 4
    with pytest.raises(RuntimeError, match="the GPU is gone"):
        next(windows)


def test_pictures_come_again_when_there_are_not_enough() -> None:
    made = list(repeated(32, 32, 40))
    assert len(made) == 40
    assert made[0] is made[16]
    assert not np.array_equal(made[0], made[15])
