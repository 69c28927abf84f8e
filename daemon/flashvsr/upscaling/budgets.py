"""How much of the machine one job takes: threads, memory for waiting frames, room on the disk."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from flashvsr.errors import BadConfig
from flashvsr.files.space import bytes_at_crf, expected_bytes
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Preprocess
from flashvsr.system.devices import discover
from flashvsr.video.chunks import stored_chunks
from flashvsr.video.geometry import Geometry
from flashvsr.video.limits import Limits
from flashvsr.video.normalise import name_for
from flashvsr.video.probe import SourceInfo

GOOD_WHILE = 10_000  # frames that there has to be room for where nobody knows how many there are
LEAST_LQ_FRAMES = 50  # decoded frames there is always room for
MOST_ENCODER_THREADS = 16  # more hardly make an encoder faster
# Finished windows before the encoder. It stands still for the model at the end of each chunk, where it works off the
# 50 frames that it holds back.
FEWEST_WAITING, MOST_WAITING, WAITING_BYTES = 3, 6, 400 << 20


def room_needed(
    workdir: Path, outbox: Path, quality: int, info: SourceInfo, geometry: Geometry, how: Preprocess
) -> list[tuple[Path, int]]:
    """What will be written where: the normalised file and the chunks that are missing, and the result beside them.

    Where the length is not known, that is for a good while's work, from here on: what is free goes on being watched.
    """
    chunks = stored_chunks(workdir)
    done = chunks[-1].end if chunks else 0
    frames = info.frame_count or min(done + GOOD_WHILE, info.most_frames or GOOD_WHILE + done)
    size = expected_bytes(*geometry.output, frames, quality)
    there = sum(chunk.path.stat().st_size for chunk in chunks)
    needs = [(workdir, max(0, size - there)), (outbox, size)]
    if how.mode == "file":
        crf = how.nvenc_cq if "nvenc" in how.video_codec else how.crf
        made = sum(path.stat().st_size for path in workdir.glob(name_for("*")))
        needs.append((workdir, max(0, bytes_at_crf(*geometry.scaled, frames, crf) - made)))
    return needs


def limits_of(config: Config) -> Limits:
    """How large a source may be, by the settings."""
    allowed = config.limits
    return Limits(allowed.file_bytes, allowed.frames, allowed.side, allowed.memory)


def encoder_threads(cores: int, workers: int) -> int:
    """Threads for one worker's encoder: three quarters of its share of the machine; the rest feeds the model."""
    return max(1, min(MOST_ENCODER_THREADS, 3 * cores // (4 * max(1, workers))))


def own_threads(config: Config) -> int:
    """Threads for this worker's encoder, on this machine."""
    return encoder_threads(len(os.sched_getaffinity(0)), _workers(config.gpu.devices, config.gpu.max_concurrent))


@lru_cache(maxsize=1)  # the driver is asked once, not for each job
def _workers(devices: str | tuple[int | str, ...], max_concurrent: int) -> int:
    """How many workers share this machine."""
    try:
        return len(discover(devices, max_concurrent, {}))
    except BadConfig:
        return 1  # `flashvsr upscale` may run where the service's GPUs are not


def chunk_frames(config: Config, info: SourceInfo) -> int:
    """Frames of a chunk; 0: all in one."""
    short = info.frame_count is not None and info.frame_count <= config.chunks.min_frames
    return 0 if short else config.chunks.size


def lq_room(config: Config, info: SourceInfo, geometry: Geometry) -> tuple[int, str | None]:
    """Decoded frames that may wait for the model, and a warning where the settings ask for too few."""
    width, height = geometry.scaled
    frame_bytes = width * height * 3 * (2 if info.is_deep else 1)
    least = max(config.streaming.prefetch_frames, LEAST_LQ_FRAMES)
    asked = config.streaming.lq_max_bytes
    if not asked or asked // frame_bytes >= least:
        return max(least, asked // frame_bytes), None
    return least, (
        f"streaming.lq_max_bytes = {asked} holds fewer than {least} frames of {width}x{height}; "
        f"{least * frame_bytes} bytes are used"
    )


def waiting_batches(frames: int, geometry: Geometry, *, deep: bool) -> int:
    """Finished windows of so many frames that may wait for the encoder."""
    window_bytes = geometry.output[0] * geometry.output[1] * 3 * (2 if deep else 1) * frames
    return max(FEWEST_WAITING, min(MOST_WAITING, WAITING_BYTES // window_bytes))
