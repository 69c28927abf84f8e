"""Reports as JSON and TOML, whatever texts they have."""

from __future__ import annotations

import json
import os
import tomllib

import pytest

from flashvsr.files.report_text import LONGEST, MOST_ITEMS, bounded_json, bounded_report, report_toml
from flashvsr.system.text import from_printable, printable
from kits.nasty import TEXTS, is_safe


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_report_shows_any_text(text: str) -> None:
    shown = report_toml({"title": text, text: [text, {"language": text}], "many": [text] * 3})
    assert is_safe(shown)
    assert len(shown) < 2 * LONGEST


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_the_queue_keeps_is_bounded(text: str) -> None:
    tracks = [{"title": text}] * (300 if len(text) < 1000 else 20)
    kept = bounded_json(json.dumps({"audio": tracks, "nested": {text: [[text]]}}))
    assert len(kept) <= LONGEST
    assert bounded_json(kept) == kept
    assert len(json.loads(kept)["audio"]) <= MOST_ITEMS


def test_what_is_left_out_is_counted() -> None:
    assert bounded_report(["a"] * 103)[-1] == "and 4 more"
    assert bounded_report([{"a": 1}] * 103)[-1] == {"note": "and 4 more"}
    assert bounded_report({str(number): 1 for number in range(103)})["note"] == "and 3 more"


@pytest.mark.parametrize("broken", ["", "{", "[" * 100_000, json.dumps({str(n): ["x" * 200] * 90 for n in range(90)})])
def test_a_report_that_cannot_be_kept_is_a_note(broken: str) -> None:
    assert list(json.loads(bounded_json(broken))) == ["note"]


def test_the_longest_path_comes_back() -> None:
    path = os.fsdecode(b"/" + b"\xff" * 4094)
    report = {"result": printable(path), "source": {"path": printable(path)}}
    for kept in (json.loads(bounded_json(json.dumps(report))), tomllib.loads(report_toml(report))):
        assert from_printable(kept["result"]) == path
        assert from_printable(kept["source"]["path"]) == path
