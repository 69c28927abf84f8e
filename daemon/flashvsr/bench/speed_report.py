"""What was measured of a model's speed, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import torch

from flashvsr.bench.end_to_end import Done
from flashvsr.bench.exactness import Exactness
from flashvsr.bench.peaks import Peaks
from flashvsr.bench.quality_report import machine
from flashvsr.bench.speed import Memory, Rate
from flashvsr.bench.work import Work
from flashvsr.upscaling.engine import Engine

STAGES = ("upload", "project", "layers", "head", "decode", "colour", "download", "rest")  # in their order


@dataclass(frozen=True)
class Measurements:
    """All that one run found; what was not asked for is None.

    `stages`: seconds in a window. `usual`: the rate at the size of the end-to-end job. `driver`: of the GPU.
    """

    rate: Rate
    memory: Memory
    stages: Mapping[str, float]
    peaks: Peaks
    work: Work
    driver: str | None = None
    usual: Rate | None = None
    job: Done | None = None
    exactness: Exactness | None = None

    @property
    def share_of_peak(self) -> float:
        """Of the arithmetic that the device could have done in the time of a window."""
        return self.work.total / self.rate.median / self.peaks.matrix

    def stage_work(self, name: str) -> int | None:
        """FLOPs of a stage, None where they are not worth counting."""
        return self.work.stages.get(name)

    def stage_share(self, name: str) -> float | None:
        """The share of the peak for one stage; None where there is no arithmetic to speak of, or no time."""
        flops, seconds = self.stage_work(name), self.stages.get(name)
        return flops / seconds / self.peaks.matrix if flops and seconds else None

    @property
    def share_of_model(self) -> float | None:
        """The end-to-end rate as a share of the model's own at that size."""
        if self.job is None or self.usual is None:
            return None
        return self.job.frames_per_second / self.usual.frames_per_second


def as_json(found: Measurements, engine: Engine) -> dict[str, Any]:
    """All of it, with where and when it was measured."""
    return {
        "measured": "speed",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(engine, found.driver),
        "model": {
            "name": engine.name,
            "parameters": sum(parameter.numel() for parameter in engine.model.parameters()),
            "computed_in": str(engine.model.dtype).removeprefix("torch."),
            "cache_offload": engine.thrift.offload_cache,
        },
        "model_only": {
            **_rate(found.rate),
            "share_of_peak": _rounded(found.share_of_peak),
            "memory_gib": {
                "allocated": _gib(found.memory.allocated),
                "reserved": _gib(found.memory.reserved),
                "host": _gib(found.memory.host),
            },
        },
        "stages": {
            name: {
                "ms_per_window": round(1000 * found.stages[name], 3),
                "tflop": _rounded(flops / 1e12) if (flops := found.stage_work(name)) else None,
                "share_of_peak": _rounded(found.stage_share(name)),
            }
            for name in STAGES
            if name in found.stages
        },
        "peaks": {
            "matrix_tflops": round(found.peaks.matrix / 1e12, 3),
            "matrix_side": found.peaks.side,
            "copy_gb_per_second": round(found.peaks.copy / 1e9, 1),
            "upload_gb_per_second": _per_second(found.peaks.upload),
            "download_gb_per_second": _per_second(found.peaks.download),
        },
        "work_tflop": {
            "projection": _rounded(found.work.projection / 1e12),
            "products": _rounded(found.work.products / 1e12),
            "attention": _rounded(found.work.attention / 1e12),
            "cross_attention": _rounded(found.work.cross_attention / 1e12),
            "head": _rounded(found.work.head / 1e12),
            "decoder": _rounded(found.work.decoder / 1e12),
            "total": _rounded(found.work.total / 1e12),
        },
        "end_to_end": _job(found),
        "against_float32": _exactness(found.exactness),
    }


def _machine(engine: Engine, driver: str | None) -> dict[str, Any]:
    facts = machine(engine, ["triton"] if _is_installed("triton") else [])
    gpu = engine.device.type == "cuda"
    facts["versions"] |= {"cuda": torch.version.cuda if gpu else None, "driver": driver}
    if gpu:
        properties = torch.cuda.get_device_properties(engine.device)
        facts["gpu"] = {
            "capability": f"{properties.major}.{properties.minor}",
            "memory_gib": _gib(properties.total_memory),
            "multiprocessors": properties.multi_processor_count,
        }
    return facts


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _rate(rate: Rate) -> dict[str, Any]:
    return {
        "size": _size(rate.size),
        "frames_per_second": round(rate.frames_per_second, 3),
        "windows": len(rate.windows),
        "ms_per_window": {
            "median": round(1000 * rate.median, 3),
            "least": round(1000 * min(rate.windows), 3),
            "most": round(1000 * max(rate.windows), 3),
        },
        "first_window_seconds": round(rate.first, 3),
        "second_window_seconds": round(rate.second, 3),
    }


def _job(found: Measurements) -> dict[str, Any] | None:
    job = found.job
    if job is None or found.usual is None:
        return None
    return {
        "clip": f"{_size(job.job.clip)} H.264 and AAC",
        "model_size": _size(job.job.size),
        "encoded": f"the {job.shows}'s frames",
        "frames": job.frames,
        "seconds": round(job.seconds, 3),
        "frames_per_second": round(job.frames_per_second, 3),
        "encoder": job.encoder,
        "model_only": _rate(found.usual),
        "share_of_model_only": _rounded(found.share_of_model),
        "warnings": job.warnings,
    }


def _exactness(found: Exactness | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "latent_relative_error": [float(f"{error:.3g}") for error in found.latent_errors],
        "psnr": [None if value is None else round(value, 2) for value in found.psnr],
        "drift_db": None if found.drift is None else round(found.drift, 2),
    }


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _gib(size: int | None) -> float | None:
    return None if size is None else round(size / 2**30, 3)


def _per_second(rate: float | None) -> float | None:
    return None if rate is None else round(rate / 1e9, 1)


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
