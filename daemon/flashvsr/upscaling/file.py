"""One file from source to published result: prepare, pass through the model, join, verify, publish.

An interrupted job goes on behind its last durable chunk: the model is warmed up on the frames before it, and the
frames it makes of those are dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from flashvsr.errors import FlashVSRError, SourceRenamed, Transient
from flashvsr.files.made import Made
from flashvsr.files.trees import OWN
from flashvsr.outbox.publish import Outbox
from flashvsr.settings.config import Config
from flashvsr.system.memory import free_gpu_memory
from flashvsr.upscaling import passage
from flashvsr.upscaling.attempt import Attempt
from flashvsr.upscaling.control import Control
from flashvsr.upscaling.engine import AnyEngine
from flashvsr.upscaling.output import ChunkedOutput
from flashvsr.upscaling.plan import Plan, prepare
from flashvsr.upscaling.report import Report
from flashvsr.upscaling.showing import show
from flashvsr.upscaling.task import Task
from flashvsr.video.chunks import Chunk, DamagedChunk
from flashvsr.video.decode import decode
from flashvsr.video.media import hold_source, source_status
from flashvsr.video.mux import Assembled, assemble
from flashvsr.video.normalise import remove_others
from flashvsr.video.verify import verify

log = logging.getLogger(__name__)

MOST_REMAKES = 3  # of damaged chunks in one attempt; a disk that damages more of them needs a person

Told = Callable[[Assembled, Path, Path], Report]  # of what was joined, the source and the result


def upscale_file(task: Task, engine: AnyEngine, config: Config, control: Control) -> Report:
    """Super-resolve a file and publish the result.

    Where the GPU's memory does not suffice, the engine does with less and the work goes on behind the last chunk. A
    chunk that the disk has damaged meanwhile is made again, and so are those behind it.

    Raises:
        BadInput: the source cannot be processed.
        Skipped: it is as large already as its result may be.
        Transient: the file system, a share or the GPU is in the way.
        Cancelled, Interrupted, LeaseLost: from `control`; finished frames are durable then, except for a lost lease.
    """
    task = replace(task, preset=task.preset.fixed(engine.largest))
    notes = [engine.note] if engine.note else []
    remakes = 0
    with hold_source(task.trees, task.source):  # from here on its name may change
        while True:
            try:
                return _attempt(task, engine, config, control, notes)
            except DamagedChunk as error:
                remakes += 1
                if remakes > MOST_REMAKES:
                    again = f"{error}; it was made again {MOST_REMAKES} times. Check that disk's health"
                    raise Transient(again) from error
                log.warning("%s; the work goes on from there", error)
            except torch.OutOfMemoryError:
                saving = engine.save_memory()
                if saving is None:
                    raise
                notes.append(f"the GPU's memory is too small for this picture: {saving}")
                log.warning("%s", notes[-1])
            free_gpu_memory()  # out here, where nothing holds on to the failed attempt's tensors any more


def _attempt(task: Task, engine: AnyEngine, config: Config, control: Control, notes: Sequence[str]) -> Report:
    attempt = Attempt()
    plan = prepare(task, engine, config, control)
    control.planned((plan.source.width, plan.source.height), plan.geometry, plan.source.frame_count, plan.warnings)
    with _normalised_held(plan):
        decoder = decode(plan.picture, plan.geometry.scaled, plan.decoding)
        output = ChunkedOutput(plan.store, plan.encoder, list(plan.chunks), plan.chunk_frames, decoder.captions)
        passage.run(plan, engine, decoder, output, control)
    warnings = [*notes, *plan.warnings, *decoder.warnings]

    def told(joined: Assembled, source: Path, result: Path) -> Report:
        return attempt.report(plan, engine, joined, [*warnings, *joined.warnings], source, result)

    report = _publish(plan, engine.name, output.chunks, decoder.last_step, control, told)
    remove_others(task.workdir, None)
    report.warnings.extend(show(plan, report.result))
    if task.preset.report:
        try:
            Outbox(task.trees).write_report(report.result, report.to_toml())
        except FlashVSRError as error:
            report.warnings.append(f"the report could not be written beside the result: {error}")
    return report


def _normalised_held(plan: Plan) -> AbstractContextManager[None]:
    """Hold what is decoded, where that is not the source."""
    return nullcontext() if plan.picture is plan.source else hold_source(OWN, plan.picture.path)


def _publish(plan: Plan, model: str, chunks: list[Chunk], last_step: int, control: Control, told: Told) -> Report:
    """Join, verify, rename, all where the source's name of that moment puts the result."""
    task, outbox = plan.task, Outbox(plan.task.trees)
    while True:
        control.check_outbox()
        task = control.present(task)
        with outbox.new_result(outbox.temporary_for(task.target, task.job_id)) as made:
            joined = assemble(
                chunks,
                plan.source,
                made.path,
                task.preset.audio,
                task.preset.container,
                progress=control.working,
                opener=made.opener,
                last_step=last_step,
                shown=plan.geometry.shown,
            )
            verify(
                made.path,
                joined.frames,
                plan.geometry.output,
                joined.duration,
                joined.audio_tracks,
                control.working,
                opener=made.opener,
            )
            while made.path.parent == task.target.parent:  # else it may be on another file system
                try:
                    return _name(plan, task, model, made, partial(told, joined, task.source), control)
                except SourceRenamed as renamed:
                    log.info("%s", renamed)
                    task = control.present(task)


def _name(plan: Plan, task: Task, model: str, made: Made, told: Callable[[Path], Report], control: Control) -> Report:
    """Publish under the name that the preset makes of the source's present one.

    The report is recorded before the rename: a crash after it finds everything told.
    """
    reports: list[Report] = []
    mtime_ns = source_status(plan.task.source).st_mtime_ns  # of the file that is held, whatever its name is by now

    def record(path: Path, size: int, mtime_ns: int) -> None:
        reports.append(told(path))
        control.publishing(reports[-1], size, mtime_ns)

    Outbox(task.trees).publish(made, task.result(*plan.geometry.output, model), record, mtime_ns)
    return reports[-1]
