"""Files of the state directory that hold something else than they should: no job is stopped by them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.errors import BadInput
from flashvsr.files.trees import NO_LINKS
from flashvsr.jobs.retention import prune
from kits.played import Bench, crash


def folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").touch()


def link(path: Path) -> None:
    path.with_name("elsewhere").write_bytes(b"precious")
    path.symlink_to("elsewhere")


ODD: list[Callable[[Path], object]] = [
    *(folder, link, os.mkfifo, lambda path: path.symlink_to("nowhere")),
    *(lambda path: path.write_bytes(b"x" * 9), lambda path: path.write_bytes(bytes(5000))),
]


@pytest.mark.parametrize("spoil", ODD)
def test_a_marker_of_any_content_costs_no_partial(bench: Bench, spoil: Callable[[Path], object]) -> None:
    number = bench.add()
    bench.fail_at(5, BadInput("damaged"))
    spoil(bench.workdir(number).with_name(f"{number}.ending"))
    assert bench.loop.step() is True
    assert bench.job(number).state == "failed"
    assert bench.outputs() == ["clip.mov.error.txt", "clip_partial.mp4"]
    elsewhere = bench.root / "state" / "jobs" / "elsewhere"
    assert not elsewhere.exists() or elsewhere.read_bytes() == b"precious"


@pytest.mark.parametrize("spoil", ODD)
def test_a_marker_of_any_content_keeps_no_source_from_being_settled(
    bench: Bench, spoil: Callable[[Path], object]
) -> None:
    number = bench.add()
    spoil(bench.workdir(number).with_name(f"{number}.ending"))
    assert bench.loop.step() is True
    assert bench.job(number).settled is not None
    assert not (bench.inbox / "clip.mov").exists()


def test_a_marker_still_counts_its_tries(bench: Bench) -> None:
    number = bench.add()
    crash(bench, number, attempts=2)
    bench.workdir(number).with_name(f"{number}.ending").write_bytes(b"..")
    assert bench.loop.step() is True
    assert bench.job(number).state == "failed"
    assert bench.outputs() == ["clip.mov.error.txt"]


def test_numbers_that_no_job_has_stop_no_sweep(bench: Bench) -> None:
    jobs = bench.root / "state" / "jobs"
    for name in ("9" * 19, "9" * 30, "0", "9" * 30 + ".ending"):
        folder(jobs / name)
    assert bench.loop.step() is False
    number = bench.add()
    assert bench.loop.step() is True
    assert bench.job(number).state == "done"
    later = (jobs / ("9" * 30)).stat().st_mtime + 31 * 86400
    prune(NO_LINKS, bench.queue, 30, later)
    assert list(jobs.iterdir()) == []


@pytest.mark.parametrize("preset", ["", "{", "[]", '{"widht": 1}', "[" * 9999, "x" * 99_999])
def test_a_damaged_preset_of_an_earlier_attempt_holds_nobody(bench: Bench, preset: str) -> None:
    number = bench.add()
    crash(bench, number, attempts=1)
    with bench.queue.store.writing():
        bench.queue.jobs.change(number, preset=preset)
    assert bench.loop.step() is True
    assert bench.job(number).state == "done"
    assert bench.job(number).attempts == 2


@pytest.mark.parametrize("report", ["{", "[]", "3", "[" * 9999])
def test_a_damaged_report_keeps_no_published_result_from_being_recorded(bench: Bench, report: str) -> None:
    (bench.inbox / "preset.toml").write_text("report = true\n")
    number = bench.add()

    class Died(BaseException):
        pass

    def die() -> None:
        raise Died

    bench.upscaling.at["published"] = die
    with pytest.raises(Died):
        bench.loop.step()
    with bench.queue.store.writing():  # as a disk may damage it: what is written there goes through a check
        bench.queue.store.database.execute_sql("UPDATE job SET report = ? WHERE id = ?", (report, number))
    bench.queue.claims.recover(lambda owner: True)
    bench.upscaling.at.clear()
    assert bench.new_loop().step() is True
    assert bench.job(number).state == "done"
    assert bench.outputs() == ["clip.mp4"]
