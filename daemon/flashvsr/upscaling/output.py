"""Finished frames into durable chunks, one after the other."""

from __future__ import annotations

import logging

from flashvsr.errors import FlashVSRError
from flashvsr.upscaling.pairing import Batch
from flashvsr.upscaling.transfer import Outgoing
from flashvsr.video.captions import Captions
from flashvsr.video.chunks import Chunk, ChunkStore, ChunkWriter
from flashvsr.video.encode import VideoEncoder

log = logging.getLogger(__name__)


class ChunkedOutput:
    """Writes batches into chunks of `chunk_frames` frames (0: one chunk), after those in `chunks`.

    `captions`: of the frames, by their timestamps.
    """

    def __init__(
        self, store: ChunkStore, encoder: VideoEncoder, chunks: list[Chunk], chunk_frames: int,
        captions: Captions | None = None,
    ) -> None:  # fmt: skip
        self._captions = captions
        self.chunks = chunks
        self.frames = chunks[-1].end if chunks else 0  # written so far, durable or not
        self._store = store
        self._encoder = encoder
        self._chunk_frames = chunk_frames
        self._writer: ChunkWriter | None = None

    def write(self, batch: Batch[Outgoing, int]) -> None:
        """Encode pictures (n, height, width, 3), uint8 or uint16, tagged with their output timestamps.

        Raises Transient when there is no room for them.
        """
        for rgb, pts in zip(batch.pixels.wait(), batch.tags, strict=True):
            if self._writer is None:
                self._writer = self._store.writer(self.frames, self._encoder, self._captions)
            self._writer.write(rgb, pts)
            self.frames += 1
            if self._writer.frames == self._chunk_frames:
                self.close()

    def close(self) -> None:
        """Make the frames written so far durable."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            self.chunks.append(writer.close())

    def rescue(self) -> None:
        """After an error: keep what can be kept of the open chunk, without another error."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            if writer.frames:
                self.chunks.append(writer.close())
                return
        except FlashVSRError as error:
            log.warning("the frames since the last chunk are lost: %s", error)
        writer.abort()
