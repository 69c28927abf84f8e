"""Sources that differ in their ending only have results that tell which is which, in whatever order they come."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from flashvsr.settings.preset import Preset
from flashvsr.worker.namesakes import is_namesake
from flashvsr.worker.places import task_for
from kits.played import Bench


def results(bench: Bench) -> list[str]:
    return sorted(path.name for path in bench.outbox.iterdir())


@pytest.mark.parametrize("order", list(permutations(["clip.mov", "clip.mkv", "clip.mp4"])))
def test_those_that_come_together(bench: Bench, order: tuple[str, ...]) -> None:
    numbers = [bench.add(name) for name in order]
    while any(bench.job(number).state == "queued" for number in numbers):
        bench.loop.step()
    assert results(bench) == ["clip (mkv).mp4", "clip (mov).mp4", "clip (mp4).mp4"]


def test_one_that_is_alone_keeps_its_name_and_the_next_one_tells(bench: Bench) -> None:
    bench.add("clip.mov")
    bench.loop.step()
    assert not (bench.inbox / "clip.mov").exists(), "the history alone knows of it now"
    bench.add("clip.MKV")
    bench.loop.step()
    assert results(bench) == ["clip (MKV).mp4", "clip.mp4"]


def test_what_was_only_skipped_or_replaced_counts_as_long_as_it_lies_there(bench: Bench) -> None:
    number, other = bench.add("clip.mov"), bench.add("clip.mkv")
    job = bench.job(number)

    def stem() -> str:
        return task_for(bench.config, bench.queue, bench.job(number), Preset()).target.stem

    bench.queue.requests.cancel(other)
    assert stem() == "clip (mov)"
    (bench.inbox / "clip.mkv").unlink()
    assert stem() == "clip"
    Path(job.source).unlink()
    bench.inbox.rename(bench.root / "gone")
    assert stem() == "clip", "a folder out of reach is no reason to fail"


@pytest.mark.parametrize(
    ("other", "namesake"),
    [("clip.mkv", True), ("clip.mov", False), ("clip.srt", False), ("clip2.mkv", False), (".clip.mkv", False)],
)
def test_namesakes(other: str, namesake: bool) -> None:
    assert is_namesake(other, "clip.mov") == namesake


def test_the_naming_of_a_task(bench: Bench) -> None:
    number = bench.add("clip.mov")
    bench.add("clip.mkv")
    preset = Preset(name="{preset} {stem} {width}x{height} {scale} {model}", container="mkv")
    task = task_for(bench.config, bench.queue, bench.job(number), preset)
    assert task.target == bench.outbox / "clip (mov).mkv"
    assert task.result(640, 480, "nano") == bench.outbox / "clips clip (mov) 640x480 2 nano.mkv"
