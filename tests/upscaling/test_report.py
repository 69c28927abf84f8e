"""The report: beside the result where the preset asks for it, in the database always."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from pathlib import Path

import pytest

from flashvsr import __version__
from flashvsr.errors import Transient
from flashvsr.files.report_text import report_toml
from kits.chain import chain
from kits.paths import CLIPS


def test_the_file_beside_the_result_says_all_that_the_database_does(tmp_path: Path) -> None:
    source = tmp_path / os.fsdecode(b'tape \xe9 "1".mpeg')  # a name that is no UTF-8
    shutil.copyfile(CLIPS / "movie-hello.mpeg", source)
    report = chain(source, tmp_path, width=128, quality=5, report=True)
    beside = report.result.with_name(report.result.name + ".report.toml")
    found = tomllib.loads(beside.read_text(encoding="utf-8"))
    assert found["version"] == __version__
    assert (found["frames"], found["audio_tracks"], found["model"], found["encoder"]) == (37, 1, "identity", "libx264")
    assert found["source"]["codec"] == "mpeg2video"
    assert found["source"]["audio"][0]["codec"] == "mp2"
    assert found["preset"]["quality"] == 5
    assert found["geometry"]["output"] == list(report.geometry.output)
    assert found["started"] <= found["finished"]
    assert found["seconds"] > 0
    assert found["fps"] > 0
    assert found["warnings"][0].endswith("has fewer pixels than the source, 640x480: width = 128 asks for it")
    assert found["warnings"][1:] == ["audio track 1 (mp2) encoded as AAC: mp4 players do not take mp2"]
    assert beside.read_text(encoding="utf-8").startswith(report_toml(json.loads(report.to_json())))
    assert tomllib.loads(beside.read_text(encoding="utf-8")) == tomllib.loads(report_toml(json.loads(report.to_json())))


def test_none_is_written_by_default(tmp_path: Path) -> None:
    report = chain(CLIPS / "carphone_pristine.mp4", tmp_path)
    assert list(report.result.parent.iterdir()) == [report.result]


def test_a_report_that_cannot_be_written_costs_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise Transient("no space")

    monkeypatch.setattr("flashvsr.outbox.publish.Outbox.write_report", full)
    report = chain(CLIPS / "carphone_pristine.mp4", tmp_path, report=True)
    assert report.result.exists()
    assert "no space" in report.warnings[-1]
