from __future__ import annotations

import argparse
import json

import pytest

from flashvsr.commands import status
from kits.played import Bench


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_status_of_a_job_shows_its_report(bench: Bench, capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    number = bench.add()
    while bench.loop.step():
        pass
    capsys.readouterr()
    assert status.run(bench.config, argparse.Namespace(job=number, json=as_json, all=False)) == 0
    shown = capsys.readouterr().out
    if as_json:
        assert json.loads(shown)["report"]["frames"] == 10
    else:
        assert "frames = 10" in shown
        assert 'codec = "h264"' in shown  # of the preset, as a person would write it
