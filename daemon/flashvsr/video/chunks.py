"""Finished stretches of encoded video on disk: what survives a crash, and what the result is joined from.

A chunk is a NUT file, the one format of FFmpeg's that keeps any time base, timestamps that start anywhere,
and every codec's headers. Everything about it is in its name, so one rename makes data and record durable
together:

    chunk-<first frame>-<frames>-<last timestamp>.nut

Each chunk starts with a key frame. While it is written it is called `chunk-<first frame>.tmp`.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from av.error import FFmpegError

from flashvsr.errors import FlashVSRError
from flashvsr.files.objects import clear_name
from flashvsr.video.captions import Captions
from flashvsr.video.decode import Rgb
from flashvsr.video.encode import VideoEncoder
from flashvsr.video.stream_writer import StreamWriter
from flashvsr.video.writing import MediaWriter, write_error

_NAME = re.compile(r"chunk-(\d{9,})-(\d{6,})-(\d+)\.nut")
_FINGERPRINT = "chunks.fingerprint"


@dataclass(frozen=True)
class Chunk:
    """A durable chunk. `first`: its first frame's number. `last_pts`: timestamp of its last, in ticks."""

    path: Path
    first: int
    frames: int
    last_pts: int

    @property
    def end(self) -> int:
        """Number of the frame after the last one."""
        return self.first + self.frames


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
            mark = workdir / _FINGERPRINT
            if not mark.is_file() or mark.read_bytes() != fingerprint.encode():
                self.discard()
                _write_durably(mark, fingerprint)
        except OSError as error:
            raise write_error(workdir, error) from error

    def durable(self) -> list[Chunk]:
        """The chunks that follow each other from frame 0 without a gap. Deletes everything else."""
        kept = stored_chunks(self._workdir)
        wanted = {chunk.path for chunk in kept}
        for path in self._files():
            if path not in wanted:
                _remove(path)
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


def stored_chunks(workdir: Path) -> list[Chunk]:
    """The contiguous chunks from frame 0 in a folder, whatever made them. Changes nothing. For salvaging."""
    found = []
    for path in workdir.glob("chunk-*.nut"):
        match = _NAME.fullmatch(path.name)
        if match is not None and stat.S_ISREG(path.lstat().st_mode):
            found.append(Chunk(path, *map(int, match.groups())))
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
        try:
            # NUT would shift the whole stream to make the first, negative decode times positive.
            self._out = MediaWriter(self._path, "nut", {"avoid_negative_ts": "disabled"})
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
        self._last_pts = pts
        self.frames += 1

    def close(self) -> Chunk:
        """Finish the chunk: after this returns it survives a power cut."""
        if self.frames == 0:
            raise ValueError("a chunk needs at least one frame; abort an empty one")
        name = f"chunk-{self.first:09d}-{self.frames:06d}-{self._last_pts}.nut"
        target = self._workdir / name
        with self._out.telling():
            self._video.finish()
            self._out.finish()
            if self._video.packets != self.frames:
                raise FlashVSRError(
                    f"{self._encoder.name} made {self._video.packets} packets of {self.frames} frames; "
                    "set another encoder or codec in the preset"
                )
            _sync(self._path)
            self._path.rename(target)
            _sync(self._workdir)
        return Chunk(target, self.first, self.frames, self._last_pts)

    def abort(self) -> None:
        """Give the chunk up and remove its file. Safe at any time, also after an error or `close`."""
        self._out.give_up()
        with suppress(OSError):  # it does not count, and the next attempt removes it
            self._path.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    """Remove what has this name, whatever it is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write_durably(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Flush a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
