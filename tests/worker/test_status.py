from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import pytest

from flashvsr.commands import status
from flashvsr.files.state import state_lock
from flashvsr.settings.config import Config
from flashvsr.status.gather import gather
from flashvsr.status.phase import LOADING, TURN
from flashvsr.status.snapshot import JobState, Snapshot
from kits.played import FRAMES, Bench, Engine
from kits.reports import SIZE


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_status_of_a_job_shows_its_report(bench: Bench, capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    number = bench.add()
    while bench.loop.step():
        pass
    capsys.readouterr()
    assert status.run(bench.config, argparse.Namespace(job=number, json=as_json, all=False, watch=False)) == 0
    shown = capsys.readouterr().out
    if as_json:
        assert json.loads(shown)["report"]["frames"] == 10
    else:
        assert "  10 frames in 1.0 s, 10.0 frames/s" in shown
        assert 'codec = "h264"' in shown  # of the preset, as a person would write it


def test_while_a_job_runs_its_sizes_are_known(bench: Bench) -> None:
    number = bench.add()
    found: list[JobState] = []
    bench.upscaling.at[5] = lambda: found.extend(gather(bench.config, bench.queue).jobs)
    bench.loop.step()
    (job,) = found
    assert (job.id, job.state, job.slot) == (number, "running", "cpu")
    assert (job.source_size, job.result_size, job.model_size) == ((128, 64), SIZE, SIZE)
    assert (job.frames, job.remarks) == (FRAMES, ("smaller sound",))


def test_while_the_model_is_loaded_the_worker_is_said_to_be_at_the_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = bench.add("a.mov"), bench.add("b.mov")
    found: list[Snapshot] = []

    def load_silently(_config: Config, _on_message: Callable[[str], None]) -> Engine:
        found.append(gather(bench.config, bench.queue))
        return Engine()

    monkeypatch.setattr(bench.upscaling, "load_engine", load_silently)
    with state_lock(bench.config.paths.state):  # for commands, this process is the service
        while bench.loop.step():
            pass
    (taken,) = found
    assert [(job.id, job.phase) for job in taken.jobs] == [(first, LOADING), (second, TURN)]
    assert [(worker.state, worker.job) for worker in taken.workers] == [("busy", first)]
