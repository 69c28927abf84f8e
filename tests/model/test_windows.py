"""Every frame of a video comes out exactly once, whatever its length."""

from __future__ import annotations

from itertools import count

import pytest

from flashvsr.model.windows import (
    FIRST_LATENTS,
    FRAMES_PER_LATENT,
    FRAMES_PER_WINDOW,
    LATENTS_PER_GROUP,
    LOOKAHEAD,
    ring_slots,
    window,
)
from kits.windows import LEAST_INPUT_FRAMES, padded_length, window_count


def test_as_published() -> None:
    first, second, fifth = window(0), window(1), window(5)
    assert (first.lq, first.output, first.latents) == ((0, 25), (0, 21), (0, 6))
    assert (second.lq, second.output, second.latents) == ((25, 33), (21, 29), (6, 8))
    assert fifth.lq == (8 * 5 + 17, 8 * 5 + 25)
    assert fifth.output == (8 * 5 + 13, 8 * 5 + 21)
    assert fifth.latents == (4 + 2 * 5, 6 + 2 * 5)
    assert [step.groups for step in (first, second, fifth)] == [range(3), range(3, 4), range(7, 8)]


@pytest.mark.parametrize("frames", range(1, 201))
def test_every_frame_exactly_once(frames: int) -> None:
    padded = padded_length(frames)
    assert padded == max(25, 8 * -(-(frames + 3) // 8) + 1)
    steps = [window(index) for index in range(window_count(padded))]
    produced = [frame for step in steps for frame in range(*step.output)]
    taken_in = [frame for step in steps for frame in range(*step.lq)]
    latents = [latent for step in steps for latent in range(*step.latents)]
    groups = [group for step in steps for group in step.groups]
    assert taken_in == list(range(padded))
    assert produced == list(range(padded - 4))
    assert frames <= len(produced)
    assert padded == 25 or len(produced) - 8 < frames, "one window less would do"
    assert latents == list(range(len(latents)))
    assert groups == list(range(len(latents) // 2))


@pytest.mark.parametrize("kv_ratio", [1, 2, 3, 5])
def test_a_ring_holds_what_a_window_attends_to(kv_ratio: int) -> None:
    """Replayed with group numbers in a ring: the slots hold the last groups, oldest first, and the window's own."""
    slots = ring_slots(kv_ratio)
    ring: dict[int, int] = {}
    for step in map(window, range(12)):
        written = step.written(slots)
        assert len(set(written)) == len(step.groups)
        ring.update(zip(written, step.groups, strict=True))
        found = [ring[slot] for slot in step.attended(slots, kv_ratio)]
        assert found == list(range(max(0, step.groups.start - kv_ratio), step.groups.stop))
        assert set(written) <= set(range(slots))


def test_a_stream_from_the_middle_counts_through_the_whole_video() -> None:
    origin = 4
    for index in range(1, 5):
        ours, theirs = window(index), window(origin + index)
        assert ours.positions(origin) == theirs.positions(0) == theirs.latents
        assert ours.number(origin) == theirs.number(0) == theirs.index
    assert window(0).positions(origin) == (8, 14), "it ends where the whole video's window does"


def test_no_window_looks_further_ahead_than_four_frames() -> None:
    for index in count():
        step = window(index)
        assert step.lq[1] - step.output[1] == 4
        if index == 1000:
            break


def test_the_constants_are_those_of_the_windows() -> None:
    first, second, third = window(0), window(1), window(2)
    assert [step.is_first for step in (first, second, third)] == [True, False, False]
    assert [step.latent_count for step in (first, second, third)] == [FIRST_LATENTS, 2, 2]
    assert FRAMES_PER_WINDOW == len(range(*second.output)) == second.latent_count * FRAMES_PER_LATENT
    assert len(range(*first.output)) == 1 + (first.latent_count - 1) * FRAMES_PER_LATENT
    assert {step.lq[1] - step.output[1] for step in (first, second, third)} == {LOOKAHEAD}
    assert first.lq == (0, LEAST_INPUT_FRAMES)
    assert {step.latent_count // len(step.groups) for step in (first, second, third)} == {LATENTS_PER_GROUP}


def test_the_shortest_stream_is_one_window() -> None:
    assert [window_count(25), window_count(33), window_count(41)] == [1, 2, 3]
    assert [padded_length(frames) for frames in (1, 21, 22, 29, 30)] == [25, 25, 33, 33, 41]
