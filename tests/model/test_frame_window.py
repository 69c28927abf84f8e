"""Frames by their number, for as long as they are needed."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from flashvsr.model.frame_window import FrameWindow

CPU = torch.device("cpu")


def numbered(count: int) -> FrameWindow:
    return FrameWindow((torch.full((3, 1, 1), index) for index in range(count)), torch.float32, CPU)


def seen(window: FrameWindow, start: int, stop: int) -> list[float]:
    frames = window.frames(start, stop)
    assert frames.shape == (3, stop - start, 1, 1)
    assert frames.dtype == torch.float32
    return frames[0, :, 0, 0].tolist()


def test_the_last_frame_repeats_beyond_the_end() -> None:
    window = numbered(5)
    window.read_to(3)
    assert seen(window, 0, 3) == [0, 1, 2]
    assert window.ended_at is None
    window.read_to(8)
    assert window.ended_at == 5
    assert seen(window, 3, 8) == [3, 4, 4, 4, 4]


def test_forgotten_frames_leave_the_numbers_as_they_are() -> None:
    window = numbered(9)
    window.read_to(4)
    window.drop_before(3)
    window.read_to(7)
    assert seen(window, 3, 7) == [3, 4, 5, 6]


def test_nothing_is_read_before_it_is_needed() -> None:
    taken: list[int] = []

    def frames() -> Iterator[Tensor]:
        for index in range(9):
            taken.append(index)
            yield torch.zeros(3, 1, 1)

    window = FrameWindow(frames(), torch.float32, CPU)
    window.read_to(2)
    assert taken == [0, 1]


def test_a_source_without_frames() -> None:
    window = numbered(0)
    window.read_to(25)
    assert window.ended_at == 0
