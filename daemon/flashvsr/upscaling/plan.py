"""What is found out and decided about a file before its first new frame. No model is needed for it."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass, replace

from flashvsr.model.stream import StreamOptions
from flashvsr.model.windows import FRAMES_PER_WINDOW
from flashvsr.outbox.publish import Outbox
from flashvsr.settings.config import Config
from flashvsr.upscaling.budgets import chunk_frames, lq_room, own_threads
from flashvsr.upscaling.control import Control
from flashvsr.upscaling.engine import AnyEngine
from flashvsr.upscaling.first_look import encoder_for, first_look
from flashvsr.upscaling.prober import prober_for
from flashvsr.upscaling.task import Task
from flashvsr.video.chunks import Chunk, ChunkStore
from flashvsr.video.decode import DecodeOptions
from flashvsr.video.encode import VideoEncoder
from flashvsr.video.geometry import Geometry
from flashvsr.video.geometry import notes as notes_on_sizes
from flashvsr.video.interlacing import Scan
from flashvsr.video.media import source_status
from flashvsr.video.normalise import NormaliseSettings, name_for, normalise, remove_others
from flashvsr.video.probe import SourceInfo

log = logging.getLogger(__name__)

Version = tuple[int, int]  # of a source: its bytes, and its time in nanoseconds

# Before the first new frame of a resumed job. What a layer keeps depends on what the one before it kept, so the past
# fades layer by layer: with 30 of them 96 frames are enough for 60 dB, 128 for 80 (tests/bench/results/seam.json).
WARM_UP_FRAMES = 128

# Keys of a preset that change no frame; what they do to the sizes stands in the geometry.
NO_PART_OF_FRAMES = ("limit", "at_limit", "compare", "priority", "name", "companions")


@dataclass(frozen=True)
class Plan:
    """How a file is done, from where on.

    Attributes:
        task: what was asked for.
        source: the facts of the source. Its sound is what the result gets.
        picture: what is decoded: the source itself, or the normalised file made of it.
        scan: how the source was scanned.
        geometry: every size on the way.
        decoding: how `picture` is decoded, from its first frame that the model gets.
        options: of the model's stream.
        encoder: which one, and how.
        store: where chunks go.
        chunks: those that are finished; the work goes on behind them.
        chunk_frames: frames of a chunk, 0 for all in one.
        room: decoded frames that may wait for the model. `prefetch`: so many are there before it begins.
        warnings: what a person should know so far.
    """

    task: Task
    source: SourceInfo
    picture: SourceInfo
    scan: Scan
    geometry: Geometry
    decoding: DecodeOptions
    options: StreamOptions
    encoder: VideoEncoder
    store: ChunkStore
    chunks: tuple[Chunk, ...]
    chunk_frames: int
    room: int
    prefetch: int
    warnings: tuple[str, ...]

    @property
    def resumed_at(self) -> int:
        """Number of the first new frame."""
        return self.chunks[-1].end if self.chunks else 0

    @property
    def origin(self) -> int:
        """Windows of the video before the first frame that the model gets."""
        return self.decoding.first_frame // FRAMES_PER_WINDOW

    @property
    def warm_up(self) -> int:
        """Frames that the model gets before the first new one."""
        return self.resumed_at - self.decoding.first_frame


def prepare(task: Task, engine: AnyEngine, config: Config, control: Control) -> Plan:
    """Look at the source, decide how it is done, and look for what is done already.

    Of the engine only its identity counts: what another one has made is not gone on with.

    Raises:
        BadInput, BadConfig: the source cannot be processed, or no encoder works for it.
        Skipped: the source is as large already as its result may be.
        Transient: the file system or a share is in the way, or there is too little room.
        Whatever `control` raises.
    """
    seen = first_look(task, config, control)
    info, geometry = seen.source, seen.geometry
    Outbox(task.trees).remove_temporaries(task.target.parent, task.job_id)
    scan = Scan()
    if task.preset.deinterlace == "auto":
        scan = prober_for(config).examine(task.trees, info, control.working)
    decoding = DecodeOptions(0, config.streaming.decode_threads, scan, config.preprocess.hwaccel)
    status = source_status(task.source)
    version = (status.st_size, status.st_mtime_ns)
    picture, losses = _picture(task, info, version, geometry, decoding, config, control)
    encoder = seen.encoder if picture is info else encoder_for(picture, geometry, task, config)
    store = ChunkStore(task.workdir, _fingerprint(task, version, engine, encoder, geometry, config))
    chunks = tuple(store.durable(control.working))
    resumed_at = chunks[-1].end if chunks else 0
    if resumed_at:
        log.info("going on at frame %d", resumed_at)
    origin = max(0, resumed_at - WARM_UP_FRAMES) // FRAMES_PER_WINDOW
    if picture is not info:
        decoding = replace(decoding, scan=Scan(), hardware="")  # has been done
    room, too_little = lq_room(config, picture, geometry)
    sizes_told = notes_on_sizes(info.width, info.height, task.preset, geometry)
    notes = [
        *sizes_told,
        *([scan.note] if scan.note else []),
        *losses,
        *encoder.warnings,
        *([too_little] if too_little else []),
    ]
    return Plan(
        task=task,
        source=info,
        picture=picture,
        scan=scan,
        geometry=geometry,
        decoding=replace(decoding, first_frame=origin * FRAMES_PER_WINDOW),
        options=_stream_options(task),
        encoder=encoder,
        store=store,
        chunks=chunks,
        chunk_frames=chunk_frames(config, info),
        room=room,
        prefetch=config.streaming.prefetch_frames,
        warnings=(*info.warnings, *notes),
    )


def _picture(
    task: Task,
    info: SourceInfo,
    version: Version,
    geometry: Geometry,
    decoding: DecodeOptions,
    config: Config,
    control: Control,
) -> tuple[SourceInfo, list[str]]:
    """What is decoded, the source itself or the normalised file made of it, and what was lost in the making."""
    if config.preprocess.mode == "stream":
        remove_others(task.workdir, None)
        return info, []
    how = config.preprocess
    wanted = NormaliseSettings(
        how.video_codec, how.preset, how.crf, how.nvenc_preset, how.nvenc_rc, how.nvenc_cq, own_threads(config)
    )
    facts = [*version, float(info.until or 0), asdict(geometry), asdict(decoding), asdict(wanted)]
    target = task.workdir / name_for(hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest())
    task.workdir.mkdir(parents=True, exist_ok=True)
    remove_others(task.workdir, target)
    made = normalise(info, geometry.scaled, decoding, wanted, target, control.working)
    return made.info, list(made.warnings)


def _fingerprint(
    task: Task, version: Version, engine: AnyEngine, encoder: VideoEncoder, geometry: Geometry, config: Config
) -> str:
    """Everything that shapes the frames: chunks made under another fingerprint are not joined with new ones."""
    facts = {
        "source": version,
        "preset": {key: value for key, value in asdict(task.preset).items() if key not in NO_PART_OF_FRAMES},
        "geometry": asdict(geometry),
        "engine": engine.identity,
        "encoder": encoder.identity,
        "preprocess": asdict(config.preprocess),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _stream_options(task: Task) -> StreamOptions:
    preset = task.preset
    return StreamOptions(preset.sparse_ratio, preset.local_range, preset.color_fix, preset.seed)
