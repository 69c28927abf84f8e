"""The text format that Prometheus reads, version 0.0.4."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Sample:
    """One value with its labels."""

    value: float
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Metric:
    """A metric and its samples; without samples it is left out."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    samples: tuple[Sample, ...]


def single(name: str, kind: Literal["gauge", "counter"], help: str, value: float | None) -> Metric:
    """A metric without labels; None: not known."""
    return Metric(name, kind, help, () if value is None else (Sample(value, {}),))


def exposition(metrics: Iterable[Metric]) -> str:
    """Write metrics, each under its help and its type."""
    blocks = []
    for metric in metrics:
        if metric.samples:
            lines = [f"# HELP {metric.name} {_escaped_help(metric.help)}", f"# TYPE {metric.name} {metric.kind}"]
            lines += [f"{metric.name}{_labels(sample.labels)} {_number(sample.value)}" for sample in metric.samples]
            blocks.append("\n".join(lines) + "\n")
    return "".join(blocks)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return _escaped_help(value).replace('"', r"\"")


def _escaped_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))
