"""The service in metrics. Labels are states and slots, of which there are few: never a name of a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flashvsr.jobs.figures import QueueFigures
from flashvsr.status.exposition import Metric, Sample, exposition, single
from flashvsr.system.devices import Reading


def metrics_text(
    figures: QueueFigures | None, gpus: Sequence[Reading], problems: int, started: float, moment: float
) -> str:
    """Write all metrics.

    Args:
        figures: None if the queue does not answer; what it would tell is left out then.
        gpus: what the GPUs tell of themselves.
        problems: how many problems there are.
        started: when the service started, in seconds since the epoch.
        moment: now, in seconds since the epoch.
    """
    found = [
        single("flashvsr_problems", "gauge", "Problems that a person must mend.", problems),
        single(
            "flashvsr_start_time_seconds", "gauge", "When the service started, in seconds since the epoch.", started
        ),
    ]
    if figures is not None:
        found += _of_queue(figures, moment)
    return exposition([*found, *_of_gpus(gpus)])


def _of_queue(figures: QueueFigures, moment: float) -> list[Metric]:
    waiting = figures.oldest_waiting
    silent = [(slot.slot, slot.silent) for slot in figures.slots]
    return [
        Metric(
            "flashvsr_jobs",
            "gauge",
            "Jobs by state; queued are those that wait.",
            tuple(Sample(number, {"state": state}) for state, number in figures.counts.items()),
        ),
        single("flashvsr_frames_total", "counter", "Frames of sources done by all jobs.", figures.frames),
        _by_slot(
            "flashvsr_frames_per_second",
            "Frames of the source that the job of a slot does each second; 0 without a job.",
            [(slot.slot, slot.fps) for slot in figures.slots],
        ),
        _by_slot("flashvsr_progress_age_seconds", "Seconds since the running job of a slot got on.", silent),
        single(
            "flashvsr_oldest_waiting_age_seconds",
            "gauge",
            "Age of the oldest job that waits; 0 if none does.",
            0.0 if waiting is None else max(0.0, moment - waiting),
        ),
        single(
            "flashvsr_last_success_time_seconds",
            "gauge",
            "When a job was last done, in seconds since the epoch.",
            figures.last_success,
        ),
    ]


def _of_gpus(gpus: Sequence[Reading]) -> list[Metric]:
    return [
        _by_slot(
            "flashvsr_gpu_temperature_celsius", "Temperature of the GPU.", [(gpu.slot, gpu.temperature) for gpu in gpus]
        ),
        _by_slot("flashvsr_gpu_power_watts", "Power that the GPU takes.", [(gpu.slot, gpu.power) for gpu in gpus]),
        _by_slot(
            "flashvsr_gpu_utilisation_ratio",
            "Share of the time in which the GPU worked, from 0 to 1.",
            [(gpu.slot, gpu.utilisation) for gpu in gpus],
        ),
    ]


def _by_slot(name: str, help: str, values: Iterable[tuple[str, float | None]]) -> Metric:
    samples = tuple(Sample(value, {"slot": slot}) for slot, value in values if value is not None)
    return Metric(name, "gauge", help, samples)
