"""The order of names as people count."""

from __future__ import annotations

import random
from pathlib import Path

from flashvsr.inbox.natural import natural_key
from kits.inbox_world import SETTLE, World

IN_ORDER = [
    "a/ep1.mp4",
    "a/EP2.mp4",
    "a/ep2.mp4",
    "a/ep02.mp4",
    "a/ep10.mp4",
    "a/ep10b.mp4",
    "a b/ep1.mp4",
    "B/1.mp4",
    "B/2 the end.mp4",
    "B/10.mp4",
    "S2/E1.mp4",
    "S10/E1.mp4",
    "\udcff.mp4",
]


def in_order(names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: natural_key(Path(name)))


def test_numbers_count_by_their_value_and_case_does_not_matter() -> None:
    shuffled = random.Random(7).sample(IN_ORDER, len(IN_ORDER))
    expected = [name for name in IN_ORDER if name not in ("a/EP2.mp4", "a/ep02.mp4")]
    assert [name for name in in_order(shuffled) if name in expected] == expected


def test_the_order_of_like_names_is_always_the_same() -> None:
    like = ["ep2.mp4", "Ep2.mp4", "ep02.mp4", "EP2.MP4"]
    assert in_order(like) == in_order(like[::-1])


def test_one_letter_is_one_however_it_is_written() -> None:
    assert in_order(["o\u0308 3.mp4", "\u00f6 1.mp4", "o\u0308 2.mp4"]) == [
        "\u00f6 1.mp4",
        "o\u0308 2.mp4",
        "o\u0308 3.mp4",
    ]


def test_any_name_has_a_place() -> None:
    odd = ["1" * 250, "a" * 250, "", "²", "-1", "1.5"]
    assert sorted(in_order(odd)) == sorted(odd)


def queued(world: World) -> list[str]:
    return [job.relative for job in world.queue.forecasts.waiting(99)]


def test_files_of_one_scan_wait_in_natural_order(world: World) -> None:
    for name in ("ep10.mp4", "Ep2.mp4", "season 1/ep3.mp4", "ep1.mp4"):
        world.drop(name)
    world.settle()
    assert queued(world) == ["ep1.mp4", "Ep2.mp4", "ep10.mp4", "season 1/ep3.mp4"]


def test_what_came_earlier_comes_first(world: World) -> None:
    world.drop("ep10.mp4")
    world.scan()
    world.drop("ep2.mp4")
    world.scan(1.0)
    world.step(SETTLE)  # both are due by now
    assert queued(world) == ["ep10.mp4", "ep2.mp4"]
