from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from flashvsr.files.state import StateDirectory
from flashvsr.status.service_file import WRITE_SECONDS, ServiceFile, Told, read_service_file
from flashvsr.status.snapshot import Problem, Snapshot
from kits.snapshots import snapshot


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def taken(text: str) -> Snapshot:
    return snapshot(problems=[Problem("a", text, 5.0), Problem("b", "c")], doing="starting the workers")


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    ServiceFile(tmp_path).keep(taken("x"))
    assert read_service_file(tmp_path, 12) == Told("starting the workers", taken("x").problems, complete=True)


def test_what_an_earlier_service_wrote_is_not_believed(tmp_path: Path) -> None:
    ServiceFile(tmp_path).keep(taken("x"))
    assert read_service_file(tmp_path, 13) == Told()


def test_it_is_written_when_something_changes_and_not_all_the_time(tmp_path: Path, clock: list[float]) -> None:
    kept, file = ServiceFile(tmp_path), StateDirectory(tmp_path).service
    kept.keep(taken("1"))
    file.unlink()
    kept.keep(taken("2"))
    assert not file.exists(), "too soon"
    clock[0] += WRITE_SECONDS
    kept.keep(taken("2"))
    assert read_service_file(tmp_path, 12).problems[0].text == "2"
    file.unlink()
    clock[0] += WRITE_SECONDS
    kept.keep(taken("2"))
    assert not file.exists(), "nothing changed"
    kept.keep(snapshot(problems=taken("2").problems))
    assert read_service_file(tmp_path, 12).doing == "", "that it serves now is a change"


def test_a_disk_that_is_full_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ServiceFile(tmp_path / "gone").keep(taken("1"))
    assert "`flashvsr status` tells less" in caplog.text


@pytest.mark.parametrize(
    "content", ["", "{", "[1, null, {}]", '{"process": 12}', '{"process": 12, "doing": 1, "problems": {}}', "é",
                '{"process": 12, "problems": [{"subject": 1}, {"subject": "a", "text": 5}, 7]}'],
)  # fmt: skip
def test_a_file_of_any_content_is_no_harm(tmp_path: Path, content: str) -> None:
    StateDirectory(tmp_path).service.write_text(content, encoding="utf-8")
    assert read_service_file(tmp_path, 12) == Told()


def test_names_of_any_bytes(tmp_path: Path) -> None:
    ServiceFile(tmp_path).keep(taken("caf\udce9\n"))
    json.loads(StateDirectory(tmp_path).service.read_text(encoding="utf-8"))
    assert read_service_file(tmp_path, 12).problems[0].text == "caf\udce9\n"
