from __future__ import annotations

import json
from pathlib import Path

import pytest

from flashvsr.status import problems
from flashvsr.status.problems import PROBLEMS_NAME, ProblemList, known_problems


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(problems.time, "time", lambda: now[0])
    monkeypatch.setattr(problems.time, "monotonic", lambda: now[0])
    return now


def test_the_newest_come_first_and_know_since_when(tmp_path: Path, clock: list[float]) -> None:
    known = ProblemList(tmp_path)
    known.update([("a", "old")])
    clock[0] += 60
    found = known.update([("a", "old, said in other words"), ("b", "new")])
    assert [(p.subject, p.text, p.since) for p in found] == [
        ("b", "new", 1060.0),
        ("a", "old, said in other words", 1000.0),
    ]
    assert known_problems(tmp_path) == found


@pytest.mark.parametrize(
    ("subject", "text", "said"),
    [
        ("cpu", "the worker ended; cpu rests", "cpu: the worker ended; cpu rests"),
        ("job 3", "job 3: its source stays", "job 3: its source stays"),
        ("/srv/in", "Cannot read /srv/in/a.mp4", "Cannot read /srv/in/a.mp4"),
        ("/srv/in", "no preset", "/srv/in: no preset"),
        ("disk", "no room", "no room"),
    ],
)
def test_what_has_it_is_said_once(subject: str, text: str, said: str) -> None:
    assert str(problems.Problem(subject, text, 0.0)) == said


def test_one_that_went_and_came_back_is_new(tmp_path: Path, clock: list[float]) -> None:
    known = ProblemList(tmp_path)
    known.update([("a", "x"), ("a", "y")])
    clock[0] += 60
    known.update([("a", "x")])
    clock[0] += 60
    assert [p.since for p in known.update([("a", "x"), ("a", "y")])] == [1120.0, 1000.0]


def test_the_file_is_written_when_something_changes_and_not_all_the_time(tmp_path: Path, clock: list[float]) -> None:
    known, file = ProblemList(tmp_path), tmp_path / PROBLEMS_NAME
    known.update([("a", "1")])
    file.unlink()
    known.update([("a", "2")])
    assert not file.exists(), "too soon"
    clock[0] += problems.WRITE_SECONDS
    known.update([("a", "2")])
    assert [p.text for p in known_problems(tmp_path)] == ["2"]
    file.unlink()
    clock[0] += problems.WRITE_SECONDS
    known.update([("a", "2")])
    assert not file.exists(), "nothing changed"


def test_a_disk_that_is_full_ends_nothing(tmp_path: Path, clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    known = ProblemList(tmp_path / "gone")
    assert [p.text for p in known.update([("a", "1")])] == ["1"]
    assert "`flashvsr status` tells less" in caplog.text


@pytest.mark.parametrize("content", ["", "{", "[1, null, {}]", '{"subject": 1}', '[{"subject": "a", "text": 5}]', "é"])
def test_a_file_of_any_content_is_no_harm(tmp_path: Path, content: str) -> None:
    (tmp_path / PROBLEMS_NAME).write_text(content, encoding="utf-8")
    assert known_problems(tmp_path) == []


def test_names_of_any_bytes(tmp_path: Path, clock: list[float]) -> None:
    ProblemList(tmp_path).update([("inbox \\xe9", "caf\udce9\n")])
    json.loads((tmp_path / PROBLEMS_NAME).read_text(encoding="utf-8"))
    assert known_problems(tmp_path)[0].text == "caf\udce9\n"
