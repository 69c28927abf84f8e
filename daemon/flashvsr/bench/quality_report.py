"""What was measured, in words, and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import torch

from flashvsr.bench.metrics import psnr
from flashvsr.bench.quality import BICUBIC, MODEL, Measured
from flashvsr.system.text import printable
from flashvsr.system.version import VERSION
from flashvsr.upscaling.engine import Engine

HEADER = f"{'':38}{'PSNR-Y, dB':>16}{'SSIM':>10}{'steadiness, dB':>20}"
SUBHEADER = f"{'':38}{'frames':>8}{'pooled':>8}{'':>10}{'frames':>12}{'pooled':>8}"
EXPLANATION = (
    "frames: mean over frames; pooled: from the errors of all frames. Steadiness: PSNR of the frame differences "
    "against the source's."
)


def clip_table(measured: Measured, model: str) -> str:
    """One video: a line for each way to enlarge it, what the model gains over bicubic, and its weak spots."""
    task = measured.task
    width, height = task.size
    extended = "" if task.geometry.model == task.size else ", extended for the model and cut back"
    lines = [
        f"{printable(task.info.path.name)}: {measured.frames} frames from {task.start} on, {width}x{height}{extended}, "
        f"x{task.scale}, made smaller by {_filter_words(task.filter)}",
        HEADER,
        SUBHEADER,
    ]
    lines += [_row(model if name == MODEL else name, scores.summary()) for name, scores in measured.scores.items()]
    lines += [_row(f"{model} - {other}", measured.gains(other), "+") for other in measured.scores if other != MODEL]
    gains = measured.frame_gains()
    starts = measured.window_start_gain()
    worst = int(gains.argmin())
    mine, bicubic = (float(psnr(measured.scores[name].error[worst])) for name in (MODEL, BICUBIC))
    lines.append(
        f"  worst frame, {task.start + worst}: {mine:.2f} dB against bicubic's {bicubic:.2f}; "
        f"{(gains < 0).mean():.1%} of frames below bicubic; first frames of windows against their neighbours "
        + ("-" if starts is None else f"{starts:+.2f} dB")
    )
    return "\n".join(lines)


def median_table(all_measured: Sequence[Measured], model: str) -> str:
    """Over the videos of each filter: medians of what the model gains over the other ways, and its least gain."""
    lines = []
    for filter_name, chosen in _by_filter(all_measured).items():
        clips = "1 clip" if len(chosen) == 1 else f"{len(chosen)} clips"
        lines += [f"median over {clips}, made smaller by {_filter_words(filter_name)}", HEADER, SUBHEADER]
        for other, gains in medians(chosen).items():
            lines.append(_row(f"{model} - {other}", gains, "+"))
        psnr_gains = {printable(measured.task.info.path.name): measured.gains()["psnr_y"] for measured in chosen}
        name, least = min(psnr_gains.items(), key=lambda item: item[1])
        lines.append(f"  least gain over bicubic {least:+.2f} dB ({name})")
    return "\n".join([*lines, EXPLANATION])


def medians(chosen: Sequence[Measured]) -> dict[str, dict[str, float]]:
    """For each other way to enlarge, the medians over videos of what the model gains over it."""
    others = [name for name in chosen[0].scores if name != MODEL]
    return {
        other: {key: median(measured.gains(other)[key] for measured in chosen) for key in chosen[0].gains(other)}
        for other in others
    }


def as_json(all_measured: Sequence[Measured], engine: Engine, packages: Sequence[str] = ()) -> dict[str, Any]:
    """All of it with where and when it was measured. `packages`: further ones whose versions matter."""
    return {
        "measured": "quality",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(engine, packages),
        "model": {
            "name": engine.name,
            "parameters": sum(parameter.numel() for parameter in engine.model.parameters()),
            "computed_in": str(engine.model.dtype).removeprefix("torch."),
        },
        "units": "dB, SSIM 0 to 1; PSNR-Y and SSIM of full-range BT.601 luma",
        "clips": [_clip_json(measured) for measured in all_measured],
        "median_gains": {filter_name: medians(chosen) for filter_name, chosen in _by_filter(all_measured).items()},
    }


def machine(engine: Engine, packages: Sequence[str] = ()) -> dict[str, Any]:
    """Card or processor, cores, and the versions of what computes."""
    return {
        "device": engine.label if engine.device.type == "cuda" else _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "versions": {
            "flashvsr": VERSION,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("torch", "av", "numpy", *packages)},
        },
    }


def _by_filter(all_measured: Sequence[Measured]) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {}
    for measured in all_measured:
        found.setdefault(measured.task.filter, []).append(measured)
    return found


def _clip_json(measured: Measured) -> dict[str, Any]:
    task, gains = measured.task, measured.frame_gains()
    worst, starts = int(gains.argmin()), measured.window_start_gain()
    return {
        "file": printable(task.info.path.name),
        "frames": measured.frames,
        "start": task.start,
        "size": f"{task.size[0]}x{task.size[1]}",
        "model_size": f"{task.geometry.model[0]}x{task.geometry.model[1]}",
        "scale": task.scale,
        "filter": task.filter,
        "scores": {name: _rounded(scores.summary()) for name, scores in measured.scores.items()},
        "gains": {name: _rounded(measured.gains(name)) for name in measured.scores if name != MODEL},
        "worst_frame": {
            "frame": task.start + worst,
            "gain_over_bicubic": round(float(gains[worst]), 3),
            "psnr_y": {name: round(float(psnr(measured.scores[name].error[worst])), 3) for name in (MODEL, BICUBIC)},
        },
        "share_of_frames_below_bicubic": round(float((gains < 0).mean()), 4),
        "window_starts_against_neighbours": None if starts is None else round(starts, 3),
        "warnings": measured.warnings,
    }


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 5 if name == "ssim" else 3) for name, value in values.items()}


def _row(name: str, values: Mapping[str, float], sign: str = "") -> str:
    return (
        f"  {name:36}{values['psnr_y']:{sign}8.2f}{values['psnr_y_pooled']:{sign}8.2f}{values['ssim']:{sign}10.4f}"
        f"{values['steadiness']:{sign}12.2f}{values['steadiness_pooled']:{sign}8.2f}"
    )


def _filter_words(name: str) -> str:
    return "the bicubic filter" if name == BICUBIC else "averages"


def _processor() -> str:
    """The processor's name as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
