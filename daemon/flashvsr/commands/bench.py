"""`flashvsr bench quality IN...`: how good the model's pictures are, in numbers and in a picture for each video."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flashvsr.commands.progress import JobProgress, job_progress
from flashvsr.commands.say import say, say_lines
from flashvsr.commands.screen import Screen
from flashvsr.errors import BadInput, FlashVSRError, Transient
from flashvsr.files.texts import write_replacing
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import MODEL_NAMES
from flashvsr.system.text import printable

if TYPE_CHECKING:
    from flashvsr.bench.enlargers import Enlarger
    from flashvsr.bench.quality import Comparison, Measured
    from flashvsr.files.trees import Trees
    from flashvsr.upscaling.engine import Engine

BOTH = "both"


def quality(config: Config, options: argparse.Namespace) -> int:
    """Measure the videos and print what came of each, and the medians.

    What is wrong with any of them is said before the first is measured. One that fails later costs only itself.
    """
    from flashvsr.bench import quality_report as report
    from flashvsr.video.media import hold_source

    trees = config.trees()
    tasks = _tasks(trees, options)
    strips, numbers = _places(options, tasks)
    others = _others(options.against)
    measured: list[Measured] = []
    failures: list[str] = []
    with job_progress(Screen(stderr=True)) as progress:
        engine = _engine(config, options, progress)
        progress.say(f"model {engine.name} on {engine.label}")
        for task, strip in zip(tasks, strips, strict=True):
            try:
                with hold_source(trees, task.info.path):
                    measured.append(_measure(task, engine, others, progress, strip))
            except (BadInput, Transient) as error:
                failures.append(str(error))
                progress.say(f"flashvsr: {error}")
                continue
            for warning in measured[-1].warnings:
                progress.say(f"flashvsr: {printable(task.info.path)}: {warning}")
            # After each video: whatever ends a long measurement, what is measured is kept.
            packages = [name.split()[0] for name in others]
            _write(numbers, json.dumps(report.as_json(measured, engine, packages), indent=2) + "\n")
            say_lines([*report.clip_table(measured[-1], engine.name).splitlines(), ""])
    if measured:
        say_lines(report.median_table(measured, engine.name).splitlines())
        say(f"numbers:  {printable(numbers)}")
        say(f"pictures: {printable(strips[0].parent)}")
    if failures:
        raise FlashVSRError(f"{len(failures)} of {len(tasks)} measurements failed:", *failures)
    return 0


def _tasks(trees: Trees, options: argparse.Namespace) -> list[Comparison]:
    """Each video with each filter. Raises BadInput with everything that is wrong with the videos."""
    from flashvsr.bench.quality import FILTERS, Comparison, measured_size
    from flashvsr.video.media import hold_source
    from flashvsr.video.probe import probe

    tasks, problems = [], []
    for path in options.videos:
        try:
            with hold_source(trees, path):
                info = probe(path)
            size = measured_size(info, options.scale, options.size)
        except FlashVSRError as error:
            problems.append(str(error))
            continue
        for filter_name in FILTERS if options.filter == BOTH else (options.filter,):
            tasks.append(Comparison(info, size, options.scale, filter_name, options.start, options.frames))
    if problems:
        raise BadInput(*problems)
    return tasks


def _places(options: argparse.Namespace, tasks: Sequence[Comparison]) -> tuple[list[Path], Path]:
    """Where the picture of each task and the numbers go. Raises FlashVSRError where nothing can be written."""
    numbers: Path = options.json or options.out / "quality.json"
    if numbers.suffix != ".json":  # else a video behind --json would be overwritten
        raise FlashVSRError(f"--json {numbers}: give a name that ends in .json")
    for folder in (options.out, numbers.parent):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FlashVSRError(f"cannot create {folder}: {error.strerror}; give another --out or --json") from error
    strips: list[Path] = []
    seen: Counter[str] = Counter()
    for task in tasks:
        name = f"{task.info.path.stem}_x{task.scale}_{task.filter}"
        seen[name] += 1  # a video of the same name may come from another folder
        strips.append(options.out / f"{name}{f'_{seen[name]}' if seen[name] > 1 else ''}.png")
    return strips, numbers


def _others(wanted: Sequence[str]) -> dict[str, Enlarger]:
    """The upscalers given by --against, by name."""
    from flashvsr.bench.enlargers import against

    return dict(against(name) for name in wanted)


def _engine(config: Config, options: argparse.Namespace, progress: JobProgress) -> Engine:
    import torch

    from flashvsr.upscaling.engine import load_engine

    if options.weights is not None:
        config = chosen_weights(config, options.weights)
    return load_engine(config, progress.say, torch.float32 if options.float32 else None)


def chosen_weights(config: Config, weights: str) -> Config:
    """The settings with other weights: a name of a model, or a folder."""
    chosen = weights if weights in MODEL_NAMES else str(Path(weights).absolute())
    return replace(config, model=replace(config.model, weights=chosen))


def _measure(
    task: Comparison, engine: Engine, others: Mapping[str, Enlarger], progress: JobProgress, picture: Path
) -> Measured:
    from flashvsr.bench.enlargers import bicubic, lanczos
    from flashvsr.bench.quality import BICUBIC, MODEL, ComparedFrame, measure
    from flashvsr.bench.strip import PictureStrip

    what = f"{task.info.path.name}, x{task.scale}, {task.filter}"
    known = task.info.frame_count
    total = min(known - task.start, task.frames or known) if known else task.frames
    strip = PictureStrip((BICUBIC, *others, MODEL))

    def on_frame(frame: ComparedFrame) -> None:
        strip.see(frame)
        progress.update(what, frame.index - task.start + 1, total)

    measured = measure(task, engine, {BICUBIC: bicubic, "lanczos": lanczos, **others}, on_frame)
    strip.write(picture)
    return measured


def _write(target: Path, text: str) -> None:
    try:
        write_replacing(target, text)
    except OSError as error:
        raise FlashVSRError(f"writing {target} failed: {error.strerror}; give another --json") from error
