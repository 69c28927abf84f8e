"""The partial video of a job that goes no further: what was finished of it, with its stretch of sound."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from flashvsr.outbox.intent import Intent
from flashvsr.outbox.publish import Outbox
from flashvsr.outbox.targets import target_for
from flashvsr.settings.config import Config
from flashvsr.upscaling.prober import prober_for
from flashvsr.upscaling.task import Task
from flashvsr.video.chunks import Chunk, DamagedChunk, whole_chunks
from flashvsr.video.geometry import plan
from flashvsr.video.limits import Limits
from flashvsr.video.media import hold_source, source_status
from flashvsr.video.mux import assemble

log = logging.getLogger(__name__)

MOST_TRIES = 3  # a disk that damages a chunk each time one looks needs a person
PARTIAL_NAME = "partial.json"  # in the job's folder: the partial video that is about to be published


def salvage(task: Task, config: Config, reason: str, working: Callable[[], None] = lambda: None) -> Path | None:
    """Publish the finished chunks of a job that goes no further as `<name>_partial`, with their stretch of sound.

    `working` is called whenever something got done. Returns None when there are no chunks. Raises Transient when
    it has to wait, BadInput when the source is gone.
    """
    for _ in range(MOST_TRIES):
        try:
            return _salvage(task, config, reason, working)
        except DamagedChunk as error:
            log.warning("%s; what comes before it is kept", error)
    return None


def _salvage(task: Task, config: Config, reason: str, working: Callable[[], None]) -> Path | None:
    chunks = whole_chunks(task.workdir, working)
    if not chunks:
        return None
    with hold_source(task.trees, task.source):
        return _publish(task, config, chunks, reason, working)


def _publish(task: Task, config: Config, chunks: list[Chunk], reason: str, working: Callable[[], None]) -> Path:
    limits = Limits(memory=config.limits.memory)
    info = prober_for(config).probe(task.trees, task.source, limits, working, task.preset.seconds)
    outbox = Outbox(task.trees)
    target = target_for(task.target.parent, task.target.name, task.preset.container, "_partial")
    intent = Intent(task.workdir / PARTIAL_NAME, str(chunks[-1].end), outbox)
    published = intent.fulfilled()
    if published is not None:
        return published  # the attempt before this one died just after the rename
    shown = plan(info.width, info.height, task.preset, force=task.force).shown
    audio, container = task.preset.audio, task.preset.container
    with outbox.new_result(outbox.temporary_for(target, task.job_id)) as made:
        assemble(
            chunks, info, made.path, audio, container, partial=True, progress=working, opener=made.opener, shown=shown
        )
        published = outbox.publish(made, target, intent.record, source_status(task.source).st_mtime_ns)
    log.info("%d frames kept as %s (%s)", chunks[-1].end, published.name, reason)
    return published
