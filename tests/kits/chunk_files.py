"""Chunks of numbered pictures, as the worker stores them."""

from __future__ import annotations

from flashvsr.video.chunks import ChunkStore
from flashvsr.video.encode import EncoderSettings, VideoEncoder, open_encoder, output_format
from flashvsr.video.probe import SourceInfo
from kits.videos import clip_info, numbered

SIZE = (128, 128)


def an_encoder(info: SourceInfo | None = None, codec: str = "h264", quality: int = 6) -> VideoEncoder:
    info = info or clip_info("bigbuckbunny.mp4")
    return open_encoder(EncoderSettings(codec, "software", quality, 2), output_format(info, SIZE))


def fill_chunk(store: ChunkStore, first: int, frames: int, encoder: VideoEncoder) -> None:
    writer = store.writer(first, encoder)
    for index in range(first, first + frames):
        writer.write(numbered(index), index * encoder.format.step)
    writer.close()
