"""`flashvsr bench speed`: how fast the model and the whole way of a video are, and where the time goes."""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flashvsr.commands.bench import chosen_weights
from flashvsr.commands.progress import JobProgress, job_progress
from flashvsr.commands.say import say
from flashvsr.commands.screen import Screen
from flashvsr.commands.speed_table import table_of
from flashvsr.errors import FlashVSRError, Transient
from flashvsr.files.texts import write_replacing
from flashvsr.settings.config import Config
from flashvsr.system.devices import driver_version
from flashvsr.system.text import printable
from flashvsr.weights.choice import NANO

if TYPE_CHECKING:
    from flashvsr.bench.exactness import Exactness
    from flashvsr.bench.speed_report import Measurements
    from flashvsr.upscaling.engine import Engine

RANDOM_NAME = "random 1.3B"
RANDOM = "random"  # weights of the published shapes, made on the spot
GPU_SIZE, CPU_SIZE = (1408, 768), (640, 384)
GPU_FRAMES, CPU_FRAMES = 181, 61

Size = tuple[int, int]


def run(config: Config, options: argparse.Namespace) -> int:
    """Measure, print a table and write the numbers."""
    import torch

    from flashvsr.bench.speed_report import as_json

    has_gpu = torch.cuda.is_available()
    weights: str = options.weights or (RANDOM if has_gpu else NANO)
    size: Size = options.size or (GPU_SIZE if has_gpu else CPU_SIZE)
    frames: int = options.frames or (GPU_FRAMES if has_gpu else CPU_FRAMES)
    _prepare(options.output)
    with job_progress(Screen(stderr=True)) as progress:
        load = partial(_engine, config, weights, progress)
        try:
            engine = load()
            progress.say(f"model {engine.name} on {engine.label}")
            found = _measure(config, engine, size, frames, options.end_to_end, progress)
            if options.compare_exact:
                plain = replace(config, model=replace(config.model, attention="torch", precision="auto"))
                found = replace(
                    found, exactness=_compare(engine, partial(_engine, plain, weights, progress), size, progress)
                )
        except torch.OutOfMemoryError as error:
            raise Transient(f"the GPU's memory is full; give a smaller --size, or free some of it ({error})") from error
    # The numbers first: a pipe that closes on the table must not lose them.
    _write(options.output, json.dumps(as_json(found, engine), indent=2) + "\n")
    Screen().print(table_of(found, engine))
    say(f"numbers: {printable(options.output)}")
    return 0


def _prepare(output: Path) -> None:
    if output.suffix != ".json":
        raise FlashVSRError(f"--output {output}: give a name that ends in .json")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FlashVSRError(f"cannot create {output.parent}: {error.strerror}; give another --output") from error


def _write(output: Path, text: str) -> None:
    try:
        write_replacing(output, text)
    except OSError as error:
        raise FlashVSRError(f"writing {output} failed: {error.strerror}; give another --output") from error


def _engine(config: Config, weights: str, progress: JobProgress) -> Engine:
    from flashvsr.upscaling.engine import engine_for, load_engine

    if weights != RANDOM:
        return load_engine(chosen_weights(config, weights), progress.say)

    import torch

    from flashvsr.bench.random_model import random_model

    gpu = torch.cuda.is_available()
    model = random_model("cuda:0" if gpu else "cpu", torch.bfloat16 if gpu else torch.float32)
    return engine_for(model, RANDOM_NAME, config)


def _measure(
    config: Config, engine: Engine, size: Size, frames: int, end_to_end: bool, progress: JobProgress
) -> Measurements:
    from flashvsr.bench.end_to_end import USUAL, doubling, measure_job
    from flashvsr.bench.peaks import measure_peaks
    from flashvsr.bench.speed import measure_rate, measure_stages
    from flashvsr.bench.speed_report import Measurements
    from flashvsr.bench.work import work_of
    from flashvsr.model.stream import StreamOptions

    def shown(what: str) -> Callable[[int], None]:
        return lambda done: progress.update(what, done, frames)

    rate, memory = measure_rate(engine, size, frames, shown("model alone"))
    progress.update("stages")
    stages = measure_stages(engine, size)
    progress.update("what the device can do at best")
    found = Measurements(
        rate=rate,
        memory=memory,
        stages=stages,
        peaks=measure_peaks(engine.device, engine.model.dtype),
        work=work_of(engine.model, *size, StreamOptions()),
        driver=driver_version() if engine.device.type == "cuda" else None,
    )
    if not end_to_end:
        return found
    job = USUAL if engine.device.type == "cuda" else doubling(size)
    usual = rate
    if job.size != size:  # also so that nothing is compiled while the file is on its way
        usual, _ = measure_rate(engine, job.size, frames, shown(f"model alone, {job.size[0]}x{job.size[1]}"))
    done = measure_job(engine, config, job, frames, shown("end to end"), shows_source=engine.name == RANDOM_NAME)
    return replace(found, usual=usual, job=done)


def _compare(engine: Engine, load: Callable[[], Engine], size: Size, progress: JobProgress) -> Exactness:
    import torch

    from flashvsr.bench.exactness import compare, make, plain_stream
    from flashvsr.model.stream import StreamOptions

    progress.update("against float32: this model")
    # What the decoder is given is looked at on the way, which a recording does not allow.
    found = make(replace(engine, records=False).stream(size, StreamOptions(), 0), engine.device, size)
    progress.update("against float32: the plain path")
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    # A fresh copy: whatever an engine did to its own weights, these are as they were loaded.
    return compare(found, make(plain_stream(load().model, size), engine.device, size))
