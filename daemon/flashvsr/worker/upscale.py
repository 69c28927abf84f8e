"""One file from source to published result: the only place where video and model meet.

    decode (thread) -> enlarge -> windows of the model -> encode into chunks (thread) -> join -> verify -> publish

An interrupted job goes on behind its last durable chunk: the model is warmed up on the frames before it, and the
frames it makes of those are dropped.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from flashvsr.config import Config
from flashvsr.errors import BadInput, LeaseLost
from flashvsr.model.resize import enlarge, place, to_bytes, to_unit
from flashvsr.model.stream import Stream, StreamOptions
from flashvsr.model.windows import FRAMES_PER_WINDOW
from flashvsr.outbox.publish import publish, remove_temporaries, target_for, temporary_for
from flashvsr.preset import Preset
from flashvsr.video.chunks import Chunk, ChunkStore, stored_chunks
from flashvsr.video.decode import Decoder, VideoFrame, decode
from flashvsr.video.encode import EncoderSettings, VideoEncoder, open_encoder, output_format
from flashvsr.video.geometry import Geometry, plan
from flashvsr.video.mux import Assembled, assemble
from flashvsr.video.probe import SourceInfo, probe
from flashvsr.video.verify import verify
from flashvsr.worker.engine import Engine, load_engine
from flashvsr.worker.output import Batch, ChunkedOutput
from flashvsr.worker.report import Report, source_facts
from flashvsr.worker.threads import RunAhead, WriteBehind
from flashvsr.worker.upscaling import Control

__all__ = [
    "Control",
    "Engine",
    "Report",
    "Task",
    "from_model",
    "load_engine",
    "salvage",
    "to_model",
    "upscale_file",
]

log = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]

WARM_UP_FRAMES = 64  # before the first new frame of a resumed job: window 0, and five more
LEAST_LQ_FRAMES = 50  # decoded frames there is always room for
WAITING_BATCHES = 3  # of the model's frames, before the encoder


@dataclass(frozen=True)
class Task:
    """What is to be done. `workdir` holds the job's chunks, `target` is the wished name of the result."""

    source: Path
    target: Path
    preset: Preset
    workdir: Path
    job_id: int


def upscale_file(task: Task, engine: Engine, settings: Config, control: Control) -> Report:
    """Super-resolve a file and publish the result.

    Raises:
        BadInput: the source cannot be processed.
        Transient: the file system, a share or the GPU is in the way.
        Cancelled, Interrupted, LeaseLost: from `control`; finished frames are durable then, except for a lost lease.
    """
    started = time.monotonic()
    info = probe(task.source)
    geometry = plan(info.width, info.height, task.preset)
    # Before the work: hours of it for an outbox out of reach would be a pity.
    temporary = temporary_for(task.target, task.job_id)
    remove_temporaries(temporary.parent, task.job_id)
    encoder = open_encoder(_encoder_settings(task.preset), output_format(info, geometry.output))
    store = ChunkStore(task.workdir, _fingerprint(task, engine, encoder, geometry))
    chunks = store.durable()
    resumed_at = chunks[-1].end if chunks else 0
    if resumed_at:
        log.info("going on at frame %d", resumed_at)

    output = ChunkedOutput(store, encoder, chunks, _chunk_frames(settings, info))
    origin = max(0, resumed_at - WARM_UP_FRAMES) // FRAMES_PER_WINDOW
    decoder = decode(info, geometry.scaled, origin * FRAMES_PER_WINDOW, settings.streaming.decode_threads)
    options = StreamOptions(task.preset.sparse_ratio, task.preset.local_range, task.preset.color_fix, task.preset.seed)
    stream = Stream(engine.model, geometry.model[1], geometry.model[0], options, origin, engine.offload_cache)
    warnings = [*encoder.warnings]
    _run(stream, decoder, geometry, output, settings, info, control, warnings)
    warnings += decoder.warnings

    assembled, result = _publish(task, temporary, output.chunks, info, geometry, control)
    seconds = time.monotonic() - started
    return Report(
        result=result,
        source=source_facts(info),
        preset=task.preset,
        geometry=geometry,
        model=engine.name,
        device=engine.label,
        encoder=encoder.name,
        frames=assembled.frames,
        audio_tracks=assembled.audio_tracks,
        duration=assembled.duration,
        seconds=seconds,
        fps=(assembled.frames - resumed_at) / seconds,
        resumed_at=resumed_at,
        warnings=[*warnings, *assembled.warnings],
    )


def salvage(task: Task, settings: Config, reason: str) -> Path | None:
    """Publish the finished chunks of a job that goes no further as `<name>_partial`, with their stretch of sound.

    Returns None when there are none. Raises Transient when it has to wait, BadInput when the source is gone.
    """
    chunks = stored_chunks(task.workdir)
    if not chunks:
        return None
    info = probe(task.source)
    target = target_for(task.target.parent, task.target.name, task.preset.container, "_partial")
    temporary = temporary_for(target, task.job_id)
    try:
        assemble(chunks, info, temporary, task.preset.audio, task.preset.container, partial=True)
        published = publish(temporary, target, lambda *_: None)
    finally:
        temporary.unlink(missing_ok=True)
    log.info("%d frames kept as %s (%s)", chunks[-1].end, published.name, reason)
    return published


def _run(
    stream: Stream,
    decoder: Decoder,
    geometry: Geometry,
    output: ChunkedOutput,
    settings: Config,
    info: SourceInfo,
    control: Control,
    warnings: list[str],
) -> None:
    """Drive decode, model and encode until the source ends. The frames written so far are durable afterwards."""
    pts: deque[int] = deque()
    room = _lq_room(settings, geometry, warnings)
    ahead: RunAhead[VideoFrame] = RunAhead(iter(decoder), room, settings.streaming.prefetch_frames)
    behind: WriteBehind[Batch] = WriteBehind(output.write, WAITING_BATCHES)
    try:
        resumed_at, skip = output.frames, output.frames - stream.state.origin * FRAMES_PER_WINDOW
        clock = _Clock()
        control.progress(resumed_at, info.frame_count, 0.0)
        with torch.inference_mode():
            for frames in stream.run(_low_quality(ahead, stream, geometry, pts)):
                stamps = [pts.popleft() for _ in range(frames.shape[1])]
                fresh, stamps = frames[:, skip:], stamps[skip:]
                skip = max(0, skip - frames.shape[1])
                if stamps:
                    behind.put(Batch(from_model(fresh, geometry), stamps))
                    control.progress(output.frames, info.frame_count, clock.rate(output.frames - resumed_at))
        behind.finish()
        output.close()
    except LeaseLost:
        behind.join()  # the chunks are another worker's now: nothing is touched
        raise
    except BaseException:
        behind.join()
        output.rescue()
        raise
    finally:
        ahead.close()
        decoder.close()
    if not output.chunks:
        raise BadInput(f"{info.path}: no frame came out of it; the file is damaged or was cut short")
    control.progress(output.frames, output.frames, clock.rate(output.frames - resumed_at))


def _low_quality(frames: Iterable[VideoFrame], stream: Stream, geometry: Geometry, pts: deque[int]) -> Iterator[Tensor]:
    for frame in frames:
        pts.append(frame.pts)
        yield to_model(frame.rgb, geometry, stream.model.device)


def to_model(rgb: Pixels, geometry: Geometry, device: torch.device) -> Tensor:
    """A decoded frame (h, w, 3) as the model wants it: (3, H, W) in [-1, 1] on its device."""
    picture = torch.from_numpy(rgb).to(device).permute(2, 0, 1)
    return to_unit(place(enlarge(picture, geometry.upscaled), geometry.model, geometry.offset))


def from_model(frames: Tensor, geometry: Geometry) -> Pixels:
    """The model's frames (3, n, H, W) as pictures (n, h, w, 3).

    What was added to reach the model's size is taken off; nothing where the picture was cropped.
    """
    if geometry.output != geometry.model:
        x, y = geometry.offset
        frames = place(frames, geometry.output, (-x, -y))
    pixels: Pixels = to_bytes(frames).cpu().numpy()
    return pixels


def _publish(
    task: Task, temporary: Path, chunks: list[Chunk], info: SourceInfo, geometry: Geometry, control: Control
) -> tuple[Assembled, Path]:
    try:
        assembled = assemble(chunks, info, temporary, task.preset.audio, task.preset.container)
        verify(temporary, assembled.frames, geometry.output, assembled.duration, assembled.audio_tracks)
        return assembled, publish(temporary, task.target, control.publishing)
    finally:
        temporary.unlink(missing_ok=True)


def _fingerprint(task: Task, engine: Engine, encoder: VideoEncoder, geometry: Geometry) -> str:
    """Everything that shapes the frames: chunks made under another fingerprint are not joined with new ones."""
    status = task.source.stat()
    facts = {
        "source": [status.st_size, status.st_mtime_ns],
        "preset": asdict(task.preset),
        "geometry": asdict(geometry),
        "engine": engine.identity,
        "encoder": encoder.identity,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _encoder_settings(preset: Preset) -> EncoderSettings:
    # The model computes on the same cores where there is no GPU, and other workers encode beside this one.
    threads = max(1, min(8, len(os.sched_getaffinity(0)) // 2))
    return EncoderSettings(preset.codec, preset.encoder, preset.quality, threads)


def _chunk_frames(settings: Config, info: SourceInfo) -> int:
    short = info.frame_count is not None and info.frame_count <= settings.chunks.min_frames
    return 0 if short else settings.chunks.size


def _lq_room(settings: Config, geometry: Geometry, warnings: list[str]) -> int:
    """Decoded frames that may wait for the model."""
    frame_bytes = geometry.scaled[0] * geometry.scaled[1] * 3
    least = max(settings.streaming.prefetch_frames, LEAST_LQ_FRAMES)
    asked = settings.streaming.lq_max_bytes
    if asked and asked // frame_bytes < least:
        warnings.append(
            f"streaming.lq_max_bytes = {asked} holds fewer than {least} frames of "
            f"{geometry.scaled[0]}x{geometry.scaled[1]}; {least * frame_bytes} bytes are used"
        )
    return max(least, asked // frame_bytes)


class _Clock:
    """Frames per second since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def rate(self, frames: int) -> float:
        return frames / max(1e-6, time.monotonic() - self._start)
