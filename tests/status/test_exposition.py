"""The text that Prometheus reads, read by its own parser."""

from __future__ import annotations

import math

import pytest

from flashvsr.status.exposition import Metric, Sample, exposition, single

parser = pytest.importorskip("prometheus_client.parser")

NASTY = 'a"b\\c\nd\\n{}=,'


def read(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sample.labels.items())): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_help_type_and_values() -> None:
    text = exposition([Metric("jobs", "gauge", "Jobs by state.", (Sample(3, {"state": "done"}), Sample(0.25, {})))])
    assert text == '# HELP jobs Jobs by state.\n# TYPE jobs gauge\njobs{state="done"} 3\njobs 0.25\n'


def test_labels_and_help_are_escaped() -> None:
    text = exposition([Metric("jobs", "gauge", NASTY, (Sample(1, {"state": NASTY, "other": "x"}),))])
    assert read(text) == {("jobs", (("state", NASTY), ("other", "x"))): 1.0}
    (family,) = parser.text_string_to_metric_families(text)
    assert (family.documentation, family.type) == (NASTY, "gauge")
    assert len(text.splitlines()) == 3


@pytest.mark.parametrize("value", [0.1, 1e300, -5, 1700000000.123456, 2**53 + 2, math.inf, -math.inf])
def test_numbers_come_back_as_they_were(value: float) -> None:
    assert read(exposition([single("x_total", "counter", "x", value)])) == {("x_total", ()): value}


def test_no_number() -> None:
    assert math.isnan(read(exposition([single("x", "gauge", "x", math.nan)]))["x", ()])


def test_what_is_not_known_is_left_out() -> None:
    assert exposition([single("x", "gauge", "x", None), Metric("y", "gauge", "y", ())]) == ""
