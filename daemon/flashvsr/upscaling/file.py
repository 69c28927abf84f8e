"""One file from source to published result: the only place where video and model meet.

    decode (thread) -> to the device (thread) -> enlarge -> windows of the model -> to the host -> encode into chunks
    (thread) -> join -> verify -> publish

An interrupted job goes on behind its last durable chunk: the model is warmed up on the frames before it, and the
frames it makes of those are dropped.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from flashvsr.errors import BadInput, FlashVSRError, LeaseLost, Transient
from flashvsr.files.made import Made
from flashvsr.model.resize import enlarge, place, to_unit, to_whole
from flashvsr.model.stream import StreamOptions
from flashvsr.model.windows import FRAMES_PER_WINDOW
from flashvsr.outbox.intent import Intent
from flashvsr.outbox.publish import new_result, publish, remove_temporaries, target_for, temporary_for, write_report
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset
from flashvsr.system.memory import free_gpu_memory
from flashvsr.system.text import bounded_warnings
from flashvsr.upscaling.budgets import chunk_frames, lq_room, own_threads, room_needed, waiting_batches
from flashvsr.upscaling.engine import AnyEngine, Engine, FrameStream, load_engine
from flashvsr.upscaling.output import Batch, ChunkedOutput
from flashvsr.upscaling.prober import Prober, prober
from flashvsr.upscaling.report import Report, source_facts
from flashvsr.upscaling.threads import RunAhead, WriteBehind
from flashvsr.upscaling.transfer import Download, Incoming, Pace, Upload
from flashvsr.video.allocations import bound_allocations, largest_block
from flashvsr.video.chunks import Chunk, ChunkStore, DamagedChunk, whole_chunks
from flashvsr.video.decode import DecodeOptions, Decoder, Rgb, VideoFrame, decode
from flashvsr.video.encode import EncoderSettings, VideoEncoder, open_encoder, output_format
from flashvsr.video.geometry import Geometry, plan
from flashvsr.video.interlacing import Scan
from flashvsr.video.limits import Limits
from flashvsr.video.media import hold_source, source_status
from flashvsr.video.mux import Assembled, assemble
from flashvsr.video.normalise import NormaliseSettings, name_for, normalise, remove_others
from flashvsr.video.probe import SourceInfo
from flashvsr.video.verify import verify
from flashvsr.worker.source import SourceRenamed
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

# Before the first new frame of a resumed job. What a layer keeps depends on what the one before it kept, so the past
# fades layer by layer: with 30 of them 96 frames are enough for 60 dB, 128 for 80 (tests/bench/results/seam.json).
WARM_UP_FRAMES = 128
UPLOADED_FRAMES = 2 * FRAMES_PER_WINDOW  # on the model's device, ahead of it
MOST_REMAKES = 3  # of damaged chunks in one attempt; a disk that damages more of them needs a person
LEAST_PATIENCE = 30.0  # seconds without a sign of life of whoever examines the source; its start takes one or two
PARTIAL_NAME = "partial.json"  # in the job's folder: the partial video that is about to be published


@dataclass(frozen=True)
class Task:
    """What is to be done. `workdir` holds the job's chunks, `target` is the wished name of the result."""

    source: Path
    target: Path
    preset: Preset
    workdir: Path
    job_id: int


def upscale_file(task: Task, engine: AnyEngine, settings: Config, control: Control) -> Report:
    """Super-resolve a file and publish the result.

    Where the GPU's memory does not suffice, the engine does with less and the work goes on behind the last chunk. A
    chunk that the disk has damaged meanwhile is made again, and so are those behind it.

    Raises:
        BadInput: the source cannot be processed.
        Transient: the file system, a share or the GPU is in the way.
        Cancelled, Interrupted, LeaseLost: from `control`; finished frames are durable then, except for a lost lease.
    """
    savings = [engine.note] if engine.note else []
    remakes = 0
    with hold_source(task.source):  # from here on its name may change
        while True:
            try:
                return _upscale(task, engine, settings, control, savings)
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
                savings.append(f"the GPU's memory is too small for this picture: {saving}")
                log.warning("%s", savings[-1])
            free_gpu_memory()  # out here, where nothing holds on to the failed attempt's tensors any more


def _upscale(task: Task, engine: AnyEngine, settings: Config, control: Control, savings: list[str]) -> Report:
    started, began = time.monotonic(), datetime.now().astimezone()
    limits = Limits(settings.limits.file_bytes, settings.limits.frames, settings.limits.side, settings.limits.memory)
    asked = _prober(settings)
    info = asked.probe(task.source, limits, control.working)
    geometry = plan(info.width, info.height, task.preset)
    sizes = ((info.width, info.height), geometry.scaled, geometry.output)
    bound_allocations(largest_block(limits.memory, *map(math.prod, sizes)))
    # Before the work: hours of it for an outbox out of reach would be a pity.
    control.check_outbox()
    control.check_room(
        room_needed(task.workdir, task.target.parent, task.preset.quality, info, geometry, settings.preprocess)
    )
    remove_temporaries(task.target.parent, task.job_id)
    scan = asked.examine(info, control.working) if task.preset.deinterlace == "auto" else Scan()
    hardware = settings.preprocess.hwaccel
    decoding = DecodeOptions(0, settings.streaming.decode_threads, scan, hardware)
    warnings = [*savings, *info.warnings, *([scan.note] if scan.note else [])]
    picture = _picture(task, info, geometry, decoding, settings, control, warnings)
    encoder = open_encoder(_encoder_settings(task.preset, settings), output_format(picture, geometry.output))
    store = ChunkStore(task.workdir, _fingerprint(task, engine, encoder, geometry, settings))
    chunks = store.durable(control.working)
    resumed_at = chunks[-1].end if chunks else 0
    if resumed_at:
        log.info("going on at frame %d", resumed_at)

    origin = max(0, resumed_at - WARM_UP_FRAMES) // FRAMES_PER_WINDOW
    if picture is not info:
        decoding = replace(decoding, scan=Scan(), hardware="")  # has been done
    decoder = decode(picture, geometry.scaled, replace(decoding, first_frame=origin * FRAMES_PER_WINDOW))
    output = ChunkedOutput(store, encoder, chunks, chunk_frames(settings, info), decoder.captions)
    options = StreamOptions(task.preset.sparse_ratio, task.preset.local_range, task.preset.color_fix, task.preset.seed)
    work = _Work(picture, geometry, engine.device, settings, control)
    warnings += encoder.warnings
    _run(work, engine.stream(geometry.model, options, origin), decoder, output, origin, warnings)
    warnings += decoder.warnings

    def report(assembled: Assembled, source: Path, result: Path) -> Report:
        seconds = time.monotonic() - started
        return Report(
            result=result,
            source=source_facts(replace(info, path=source), scan),
            preset=task.preset,
            geometry=geometry,
            model=engine.name,
            device=engine.label,
            encoder=encoder.name,
            frames=assembled.frames,
            audio_tracks=assembled.audio_tracks,
            duration=assembled.duration,
            started=began.isoformat(timespec="seconds"),
            finished=datetime.now().astimezone().isoformat(timespec="seconds"),
            seconds=seconds,
            fps=(assembled.frames - resumed_at) / seconds,
            resumed_at=resumed_at,
            warnings=bounded_warnings([*warnings, *assembled.warnings]),
        )

    made = _publish(task, output.chunks, decoder.last_step, info, geometry, control, report)
    remove_others(task.workdir, None)
    if task.preset.report:
        try:
            write_report(made.result, made.to_toml())
        except FlashVSRError as error:
            made.warnings.append(f"the report could not be written beside the result: {error}")
    return made


def _picture(
    task: Task,
    info: SourceInfo,
    geometry: Geometry,
    decoding: DecodeOptions,
    settings: Config,
    control: Control,
    warnings: list[str],
) -> SourceInfo:
    """What is decoded: the source itself, or the normalised file made of it. The sound is the source's anyway."""
    if settings.preprocess.mode == "stream":
        remove_others(task.workdir, None)
        return info
    how = settings.preprocess
    wanted = NormaliseSettings(
        how.video_codec, how.preset, how.crf, how.nvenc_preset, how.nvenc_rc, how.nvenc_cq, own_threads(settings)
    )
    status = source_status(task.source)
    facts = [status.st_size, status.st_mtime_ns, asdict(geometry), asdict(decoding), asdict(wanted)]
    target = task.workdir / name_for(hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest())
    task.workdir.mkdir(parents=True, exist_ok=True)
    remove_others(task.workdir, target)
    made = normalise(info, geometry.scaled, decoding, wanted, target, control.working)
    warnings += made.warnings
    return made.info


def salvage(task: Task, settings: Config, reason: str, working: Callable[[], None] = lambda: None) -> Path | None:
    """Publish the finished chunks of a job that goes no further as `<name>_partial`, with their stretch of sound.

    `working` is called whenever something got done. Returns None when there are no chunks. Raises Transient when
    it has to wait, BadInput when the source is gone.
    """
    for _ in range(MOST_REMAKES):
        try:
            return _salvage(task, settings, reason, working)
        except DamagedChunk as error:
            log.warning("%s; what comes before it is kept", error)
    return None


def _salvage(task: Task, settings: Config, reason: str, working: Callable[[], None]) -> Path | None:
    chunks = whole_chunks(task.workdir, working)
    if not chunks:
        return None
    with hold_source(task.source):
        return _publish_partial(task, settings, chunks, reason, working)


def _publish_partial(
    task: Task, settings: Config, chunks: list[Chunk], reason: str, working: Callable[[], None]
) -> Path:
    info = _prober(settings).probe(task.source, Limits(memory=settings.limits.memory), working)
    target = target_for(task.target.parent, task.target.name, task.preset.container, "_partial")
    intent = Intent(task.workdir / PARTIAL_NAME, str(chunks[-1].end))
    published = intent.fulfilled()
    if published is not None:
        return published  # the attempt before this one died just after the rename
    shown = plan(info.width, info.height, task.preset).shown
    audio, container = task.preset.audio, task.preset.container
    with new_result(temporary_for(target, task.job_id)) as made:
        assemble(
            chunks, info, made.path, audio, container, partial=True, progress=working, opener=made.opener, shown=shown
        )
        published = publish(made, target, intent.record)
    log.info("%d frames kept as %s (%s)", chunks[-1].end, published.name, reason)
    return published


@dataclass(frozen=True)
class _Work:
    """What stays the same from the first frame to the last."""

    info: SourceInfo
    geometry: Geometry
    device: torch.device
    settings: Config
    control: Control


def _run(
    work: _Work, stream: FrameStream, decoder: Decoder, output: ChunkedOutput, origin: int, warnings: list[str]
) -> None:
    """Drive decode, model and encode until the source ends. The frames written so far are durable afterwards.

    `origin`: windows of the video before the decoder's first frame.
    """
    info, geometry, control = work.info, work.geometry, work.control
    pts: deque[int] = deque()
    room = lq_room(work.settings, info, geometry, warnings)
    waiting = _Skipping(decoder, control)  # a resumed job decodes all that comes before its first new frame
    prefetch = work.settings.streaming.prefetch_frames
    upload, download, pace = Upload(work.device), Download(work.device), Pace(work.device)
    decoded: RunAhead[VideoFrame] = RunAhead(iter(decoder), room, prefetch)
    ahead: RunAhead[tuple[Incoming, int]] = RunAhead(
        _uploaded(decoded, upload), UPLOADED_FRAMES, waiting=waiting, name="upload"
    )
    behind: WriteBehind[Batch] = WriteBehind(
        output.write, waiting_batches(FRAMES_PER_WINDOW, geometry, deep=info.is_deep)
    )
    try:
        resumed_at, skip = output.frames, output.frames - origin * FRAMES_PER_WINDOW
        clock = _Clock()

        def tell() -> None:
            # Files have more frames than they say, too.
            total = info.frame_count if output.frames <= (info.frame_count or 0) else None
            control.progress(output.frames, total, clock.rate(output.frames - resumed_at))

        tell()
        with torch.inference_mode():
            for frames in stream.run(_low_quality(ahead, geometry, pts)):
                stamps = [pts.popleft() for _ in range(frames.shape[1])]
                fresh, stamps = frames[:, skip:], stamps[skip:]
                skip = max(0, skip - frames.shape[1])
                pace.step()
                if stamps:
                    behind.put(Batch(download.send(finished(fresh, geometry, deep=info.is_deep)), stamps))
                    tell()
                else:
                    control.working()  # the warm-up of a resumed job
        behind.finish(waiting=tell)
        output.close()
    except LeaseLost:
        behind.join()  # the chunks are another worker's now: nothing is touched
        raise
    except BaseException:
        behind.join()
        output.rescue()
        raise
    finally:
        decoded.close()
        ahead.close()
        decoder.close()
    if not output.chunks:
        raise BadInput(f"{info.path}: no frame came out of it; the file is damaged or was cut short")
    control.progress(output.frames, output.frames, clock.rate(output.frames - resumed_at))


def _uploaded(frames: Iterable[VideoFrame], upload: Upload) -> Iterator[tuple[Incoming, int]]:
    for frame in frames:
        yield upload.send(frame.rgb), frame.pts


def _low_quality(frames: Iterable[tuple[Incoming, int]], geometry: Geometry, pts: deque[int]) -> Iterator[Tensor]:
    for frame, stamp in frames:
        pts.append(stamp)
        yield enlarged(frame.take(), geometry)


def enlarged(picture: Tensor, geometry: Geometry) -> Tensor:
    """A decoded frame (h, w, 3) as the model wants it: (3, H, W) in [-1, 1], on the frame's device."""
    return to_unit(place(enlarge(picture.permute(2, 0, 1), geometry.upscaled), geometry.model, geometry.offset))


def finished(frames: Tensor, geometry: Geometry, *, deep: bool = False) -> Tensor:
    """The model's frames (3, n, H, W) as pictures (n, h, w, 3) of 8 bits, or 16 if `deep`, on their device.

    What was added to reach the model's size is taken off; nothing where the picture was cropped.
    """
    if geometry.output != geometry.model:
        x, y = geometry.offset
        frames = place(frames, geometry.output, (-x, -y))
    return to_whole(frames, deep)


def to_model(rgb: Rgb, geometry: Geometry, device: torch.device) -> Tensor:
    """`enlarged` for a frame on the host; waits for the copy to the device."""
    return enlarged(torch.from_numpy(rgb).to(device), geometry)


def from_model(frames: Tensor, geometry: Geometry, *, deep: bool = False) -> Rgb:
    """`finished` for whoever wants the pictures on the host at once."""
    pixels: Rgb = finished(frames, geometry, deep=deep).cpu().numpy()
    return pixels


def _publish(
    task: Task,
    chunks: list[Chunk],
    last_step: int,
    info: SourceInfo,
    geometry: Geometry,
    control: Control,
    report: Callable[[Assembled, Path, Path], Report],
) -> Report:
    """Join, verify, rename, all where the source's name of that moment puts the result."""
    while True:
        control.check_outbox()
        task = control.present(task)
        audio, container, working = task.preset.audio, task.preset.container, control.working
        with new_result(temporary_for(task.target, task.job_id)) as made:
            joined = assemble(
                chunks,
                info,
                made.path,
                audio,
                container,
                progress=working,
                opener=made.opener,
                last_step=last_step,
                shown=geometry.shown,
            )
            verify(
                made.path,
                joined.frames,
                geometry.output,
                joined.duration,
                joined.audio_tracks,
                working,
                opener=made.opener,
            )
            while made.path.parent == task.target.parent:  # else it may be on another file system
                try:
                    return _name(task, made, partial(report, joined, task.source), control)
                except SourceRenamed as renamed:
                    log.info("%s", renamed)
                    task = control.present(task)


def _name(task: Task, made: Made, report: Callable[[Path], Report], control: Control) -> Report:
    """Publish. The report is recorded before the rename: a crash after it finds everything told."""
    told: list[Report] = []

    def record(path: Path, size: int, mtime_ns: int) -> None:
        told.append(report(path))
        control.publishing(told[-1], size, mtime_ns)

    publish(made, task.target, record)
    return told[-1]


def _fingerprint(task: Task, engine: AnyEngine, encoder: VideoEncoder, geometry: Geometry, settings: Config) -> str:
    """Everything that shapes the frames: chunks made under another fingerprint are not joined with new ones."""
    status = source_status(task.source)
    facts = {
        "source": [status.st_size, status.st_mtime_ns],
        "preset": asdict(task.preset),
        "geometry": asdict(geometry),
        "engine": engine.identity,
        "encoder": encoder.identity,
        "preprocess": [settings.preprocess.mode, settings.preprocess.video_codec, settings.preprocess.crf],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _prober(settings: Config) -> Prober:
    """Gives up on a file earlier than the service does on the whole worker."""
    return prober(settings.limits.memory, max(LEAST_PATIENCE, settings.queue.stall_seconds / 2))


def _encoder_settings(preset: Preset, settings: Config) -> EncoderSettings:
    return EncoderSettings(preset.codec, preset.encoder, preset.quality, own_threads(settings))


class _Skipping:
    """Called while the model waits for the decoder: the frames that the decoder passes are progress."""

    def __init__(self, decoder: Decoder, control: Control) -> None:
        self._decoder = decoder
        self._control = control
        self._passed = 0

    def __call__(self) -> None:
        passed, self._passed = self._passed, self._decoder.frames
        if self._passed != passed:
            self._control.working()


class _Clock:
    """Frames per second since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def rate(self, frames: int) -> float:
        return frames / max(1e-6, time.monotonic() - self._start)
