"""Which metrics there are."""

from __future__ import annotations

import pytest

from flashvsr.jobs.figures import QueueFigures, SlotFigures
from flashvsr.jobs.schema import STATES
from flashvsr.status.gauges import metrics_text
from flashvsr.system.devices import Reading

parser = pytest.importorskip("prometheus_client.parser")

NOW = 1_700_000_000.0
FIGURES = QueueFigures(
    counts=dict.fromkeys(STATES, 0) | {"queued": 5, "done": 2},
    frames=12_345,
    oldest_waiting=NOW - 90,
    last_success=NOW - 10,
    slots=(SlotFigures("gpu0", 8.25, 1.5), SlotFigures("gpu1", 0.0, None)),
)
GPUS = [Reading("gpu0", 61.0, 350.5, 0.97), Reading("gpu1", None, None, None)]


def values(text: str) -> dict[str, float]:
    found = {}
    for family in parser.text_string_to_metric_families(text):
        assert family.documentation
        assert family.type in ("gauge", "counter")
        for sample in family.samples:
            found[" ".join([sample.name, *sample.labels.values()])] = sample.value
    return found


def test_all_of_them() -> None:
    found = values(metrics_text(FIGURES, GPUS, 3, NOW - 3600, NOW))
    assert {name: value for name, value in found.items() if "jobs" not in name} == {
        "flashvsr_problems": 3, "flashvsr_start_time_seconds": NOW - 3600, "flashvsr_frames_total": 12_345,
        "flashvsr_frames_per_second gpu0": 8.25, "flashvsr_frames_per_second gpu1": 0,
        "flashvsr_progress_age_seconds gpu0": 1.5, "flashvsr_oldest_waiting_age_seconds": 90,
        "flashvsr_last_success_time_seconds": NOW - 10, "flashvsr_gpu_temperature_celsius gpu0": 61,
        "flashvsr_gpu_power_watts gpu0": 350.5, "flashvsr_gpu_utilisation_ratio gpu0": 0.97,
    }  # fmt: skip
    assert {name: value for name, value in found.items() if "jobs" in name} == {
        f"flashvsr_jobs {state}": FIGURES.counts[state] for state in STATES
    }


def test_without_the_queue_the_rest_is_told() -> None:
    assert set(values(metrics_text(None, GPUS[1:], 1, NOW, NOW))) == {
        "flashvsr_problems",
        "flashvsr_start_time_seconds",
    }


def test_a_new_machine() -> None:
    empty = QueueFigures(dict.fromkeys(STATES, 0), 0, None, None, ())
    found = values(metrics_text(empty, [], 0, NOW, NOW))
    assert found["flashvsr_oldest_waiting_age_seconds"] == 0
    assert "flashvsr_last_success_time_seconds" not in found
