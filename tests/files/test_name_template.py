"""The names that a template makes."""

from __future__ import annotations

import os

import pytest

from flashvsr.files.name_template import filled

VALUES = {"width": 1920, "height": 1080, "scale": 2.0, "model": "nano", "preset": "films"}


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{stem}", "clip.mp4"),
        ("{stem} {width}x{height}", "clip 1920x1080.mp4"),
        ("{preset} - {stem} x{scale} ({model})", "films - clip x2 (nano).mp4"),
        ("{stem}{stem}", "clipclip.mp4"),
        ("fixed", "fixed.mp4"),
    ],
)
def test_fields_are_filled_in(template: str, name: str) -> None:
    assert filled(template, "clip", VALUES, ".mp4") == name


def test_a_scale_is_written_as_short_as_it_is() -> None:
    assert filled("{scale}", "clip", VALUES | {"scale": 1.5}, ".mp4") == "1.5.mp4"


def test_what_no_name_may_have_is_replaced_but_in_the_stem() -> None:
    values = VALUES | {"model": "../v1\n", "preset": 'a:b"' + "n" * 100}
    assert filled("{stem}{model}", "what?", values, ".mp4") == "what?.._v1_.mp4"
    assert filled("{preset}", "clip", values, ".mp4") == "a_b_" + "n" * 56 + ".mp4"


@pytest.mark.parametrize("model", [".hidden", "~temporary", " "])
def test_no_value_hides_a_result(model: str) -> None:
    assert filled("{model}", "clip", VALUES | {"model": model}, ".mp4") == f"_{model}.mp4"


def test_a_field_in_a_value_is_no_field() -> None:
    assert filled("{stem}", "{model}", VALUES, ".mp4") == "{model}.mp4"


def test_a_long_stem_loses_its_end_and_nothing_else() -> None:
    name = filled("{stem} {width}", "\u00e4" * 127, VALUES, ".mp4")
    assert name.endswith("\u00e4 1920.mp4")
    assert len(os.fsencode(name)) in (254, 255)


def test_bytes_that_are_no_text_stay() -> None:
    stem = os.fsdecode(b"caf\xe9")
    assert os.fsencode(filled("{stem}", stem, VALUES, ".mp4")) == b"caf\xe9.mp4"
