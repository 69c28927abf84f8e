"""The folders of the settings may lie behind links, an administrator's: all that a worker does goes by them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.errors import BadInput, Interrupted
from flashvsr.settings.preset import PRESET_NAME
from flashvsr.worker import sweep
from kits.played import Bench


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    made = Bench(tmp_path / "link")
    yield made
    made.queue.close()


@pytest.mark.parametrize("action", ["archive", "delete"])
def test_a_job_is_done_and_its_source_taken_away(linked: Bench, action: str) -> None:
    linked.config = replace(linked.config, watch=replace(linked.config.watch, on_success=action))
    number = linked.add("season/a.mov")
    assert linked.new_loop().step()
    job = linked.job(number)
    assert (job.state, job.error) == ("done", None)
    assert linked.outputs() == ["season/a.mp4"]
    assert (linked.inbox / PRESET_NAME).is_file()
    assert not (linked.inbox / "season" / "a.mov").exists()
    assert job.departed
    assert (job.archived is not None) == (action == "archive")


def test_a_renamed_file_is_found(linked: Bench) -> None:
    number = linked.add("a.mov")
    (linked.inbox / "a.mov").rename(linked.inbox / "b.mov")
    linked.loop.step()
    assert linked.job(number).state == "done"
    assert linked.outputs() == ["b.mp4"]


def test_a_failure_is_told_there_and_taken_back(linked: Bench) -> None:
    number = linked.add("a.mov")
    linked.fail_at("start", BadInput("no picture"))
    linked.loop.step()
    assert linked.job(number).state == "failed"
    assert linked.outputs() == ["a.mov.error.txt"]
    linked.upscaling.at.clear()
    linked.queue.requests.retry(number)
    linked.loop.step()
    assert linked.outputs() == ["a.mp4"]


def test_a_result_that_was_published_before_a_crash_is_known(linked: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "SWEEP_SECONDS", 0.0)
    number = linked.add("a.mov")
    linked.fail_at("published", Interrupted("the service stops"))
    linked.loop.step()
    linked.upscaling.at.clear()
    assert linked.job(number).state == "queued"
    linked.loop.step()
    assert linked.job(number).state == "done"
    assert len(linked.upscaling.tasks) == 1
    assert linked.outputs() == ["a.mp4"]
