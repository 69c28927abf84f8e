"""Finished stretches of encoded video on disk: what survives a crash, and what the result is joined from.

A chunk is a NUT file, the one format of FFmpeg's that keeps any time base, timestamps that start anywhere,
and every codec's headers. Everything about it is in its name, so one rename makes data and record durable
together:

    chunk-<first frame>-<frames>-<last timestamp>-<digest>.nut

The digest is of its content and of the three numbers. Disks lose and turn bits: a chunk that is not as it was written
is not joined, it and those behind it are made again. Each chunk starts with a key frame. While it is written it is
called `chunk-<first frame>.tmp`.
"""

from __future__ import annotations

import logging
import re
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from av.error import FFmpegError

from flashvsr.errors import FlashVSRError
from flashvsr.files.advice import LOST, failure
from flashvsr.files.durable import name_durably, sync_names
from flashvsr.files.objects import clear_name
from flashvsr.files.texts import write_replacing
from flashvsr.files.trees import OWN
from flashvsr.video.captions import Captions
from flashvsr.video.counted import Progress, nothing
from flashvsr.video.decode import Rgb
from flashvsr.video.digests import DIGITS, RunningDigest, digest_of
from flashvsr.video.encode import VideoEncoder
from flashvsr.video.stream_writer import StreamWriter
from flashvsr.video.writing import MediaWriter, write_error

log = logging.getLogger(__name__)

_NAME = re.compile(rf"chunk-(\d{{9,}})-(\d{{6,}})-(\d+)-([0-9a-f]{{{DIGITS}}})\.nut")
_FINGERPRINT = "chunks.fingerprint"
_DIGEST_FRAMES = 60  # between two looks at what was written: none takes long, nor does the end of a film in one chunk


class DamagedChunk(FlashVSRError):
    """A chunk is not as it was written. It and those behind it have to be made again."""


@dataclass(frozen=True)
class Chunk:
    """A durable chunk. `first`: its first frame's number. `last_pts`: timestamp of its last, in ticks.

    `digest`: of its content and of these numbers, as hexadecimal text.
    """

    path: Path
    first: int
    frames: int
    last_pts: int
    digest: str

    @property
    def end(self) -> int:
        """Number of the frame after the last one."""
        return self.first + self.frames

    def check(self, progress: Progress = nothing) -> None:
        """Read all of it; `progress` is called meanwhile.

        Raises DamagedChunk when it is not as it was written, Transient when the file system is in the way.
        """
        try:
            found = digest_of(self.path, _numbers(self.first, self.frames, self.last_pts), progress)
        except OSError as error:
            if error.errno not in LOST:
                raise failure("read", self.path, error) from error
            raise DamagedChunk(f"{self.path} cannot be read back: {error.strerror}") from error
        if found != self.digest:
            raise DamagedChunk(f"{self.path} is not as it was written; the disk there has lost or changed some of it")


class ChunkStore:
    """The chunks of one job in `workdir`. Every method raises Transient when the file system fails.

    `fingerprint` describes everything that shapes the frames (source identity, preset, model,
    `VideoEncoder.identity`). Chunks written under another fingerprint are deleted, so that a result is never
    joined from unlike parts.
    """

    def __init__(self, workdir: Path, fingerprint: str) -> None:
        self._workdir = workdir
        try:
            clear_name(workdir, stat.S_ISDIR)
            workdir.mkdir(parents=True, exist_ok=True)
            sync_names(workdir.parent)  # chunks are no safer than the name of their folder
            mark = workdir / _FINGERPRINT
            if not _says(mark, fingerprint):
                self.discard()
                write_replacing(mark, fingerprint)
        except OSError as error:
            raise write_error(workdir, error) from error

    def durable(self, progress: Progress = nothing) -> list[Chunk]:
        """The chunks that follow each other from frame 0 without a gap, each as it was written.

        Deletes everything else. `progress` is called as they are read.
        """
        kept = whole_chunks(self._workdir, progress)
        wanted = {chunk.path for chunk in kept}
        try:
            others = [path for path in self._files() if path not in wanted]
            if finished := [path for path in others if path.suffix == ".nut"]:
                log.warning("%d chunks do not count: damaged, or of an earlier version; made again", len(finished))
            for path in others:
                _remove(path)
        except OSError as error:
            raise write_error(self._workdir, error) from error
        return kept

    def writer(self, first: int, encoder: VideoEncoder, captions: Captions | None = None) -> ChunkWriter:
        """Start the chunk whose first frame has number `first`. `captions`: of its frames."""
        return ChunkWriter(self._workdir, first, encoder, captions)

    def discard(self) -> None:
        """Delete all chunks, finished or not."""
        for path in (self._workdir / _FINGERPRINT, *self._files()):
            _remove(path)

    def _files(self) -> list[Path]:
        return [path for path in self._workdir.glob("chunk*") if path.name != _FINGERPRINT]


def whole_chunks(workdir: Path, progress: Progress = nothing) -> list[Chunk]:
    """The contiguous chunks from frame 0 in a folder, up to the first that is damaged. Changes nothing.

    `progress` is called as they are read. Raises Transient when the file system is in the way.
    """
    kept: list[Chunk] = []
    for chunk in stored_chunks(workdir):
        try:
            chunk.check(progress)
        except DamagedChunk as error:
            log.warning("%s; the frames from %d on do not count", error, chunk.first)
            break
        kept.append(chunk)
    return kept


def stored_chunks(workdir: Path) -> list[Chunk]:
    """The contiguous chunks from frame 0 in a folder, by their names alone, whatever made them. Changes nothing."""
    found = []
    for path in workdir.glob("chunk-*.nut"):
        match = _NAME.fullmatch(path.name)
        if match is not None and stat.S_ISREG(path.lstat().st_mode):
            first, frames, last_pts, digest = match.groups()
            found.append(Chunk(path, int(first), int(frames), int(last_pts), digest))
    kept: list[Chunk] = []
    for chunk in sorted(found, key=lambda c: (c.first, -c.frames)):
        if chunk.frames > 0 and chunk.first == (kept[-1].end if kept else 0):
            kept.append(chunk)
    return kept


class ChunkWriter:
    """Writes one chunk. End it with `close` or `abort`; a chunk that was never closed does not count."""

    def __init__(self, workdir: Path, first: int, encoder: VideoEncoder, captions: Captions | None = None) -> None:
        self.first = first
        self.frames = 0
        self._workdir = workdir
        self._encoder = encoder
        self._path = workdir / f"chunk-{first:09d}.tmp"
        self._last_pts = -1
        self._digest = RunningDigest(self._path)
        try:
            # NUT would shift the whole stream to make the first, negative decode times positive.
            self._out = MediaWriter(self._path, "nut", {"avoid_negative_ts": "disabled"}, opener=OWN.open_file)
        except (FFmpegError, OSError) as error:
            raise write_error(self._path, error) from error
        try:
            with self._out.telling():
                self._video = StreamWriter(self._out.container, encoder, captions)
        except BaseException:
            self.abort()
            raise

    def write(self, rgb: Rgb, pts: int) -> None:
        """Encode one frame, (height, width, 3) uint8 or uint16. `pts`: output ticks, larger than the frame's before."""
        if pts <= self._last_pts:
            raise ValueError(f"timestamp {pts} after {self._last_pts}")
        with self._out.telling():
            self._video.write(rgb, pts)
            if self.frames % _DIGEST_FRAMES == 0:
                self._digest.catch_up()
        self._last_pts = pts
        self.frames += 1

    def close(self) -> Chunk:
        """Finish the chunk: after this returns it survives a power cut."""
        if self.frames == 0:
            raise ValueError("a chunk needs at least one frame; abort an empty one")
        with self._out.telling():
            self._video.finish()
            self._out.finish()
            if self._video.packets != self.frames:
                raise FlashVSRError(
                    f"{self._encoder.name} made {self._video.packets} packets of {self.frames} frames; "
                    "set another encoder or codec in the preset"
                )
            numbers = _numbers(self.first, self.frames, self._last_pts)
            digest = self._digest.finish(numbers)
            target = self._workdir / f"chunk-{numbers}-{digest}.nut"
            name_durably(self._path, target)
        return Chunk(target, self.first, self.frames, self._last_pts, digest)

    def abort(self) -> None:
        """Give the chunk up and remove its file. Safe at any time, also after an error or `close`."""
        self._out.give_up()
        self._digest.close()
        with suppress(OSError):  # it does not count, and the next attempt removes it
            self._path.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    """Remove what has this name, whatever it is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _numbers(first: int, frames: int, last_pts: int) -> str:
    return f"{first:09d}-{frames:06d}-{last_pts}"


def _says(mark: Path, text: str) -> bool:
    try:
        return mark.is_file() and mark.read_bytes() == text.encode()  # anything else may lie there, and a pipe waits
    except OSError as error:
        if error.errno not in LOST:
            raise
        return False
