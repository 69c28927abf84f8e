"""A chunk, and what says which chunks count, come onto the disk in an order that survives a power cut at any moment."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.video.chunks import ChunkStore
from flashvsr.video.encode import EncoderSettings, open_encoder, output_format
from kits.durable import Steps
from kits.videos import clip_info, numbered

Write = Callable[[ChunkStore, int], None]


@pytest.fixture
def write() -> Write:
    """Make one chunk of three frames."""
    info = clip_info("movie-hello.mp4")
    encoder = open_encoder(EncoderSettings("h264", "software", 6, 1), output_format(info, (128, 128)))

    def write(store: ChunkStore, first: int) -> None:
        writer = store.writer(first, encoder)
        for number in range(first, first + 3):
            writer.write(numbered(number), number * encoder.format.step)
        writer.close()

    return write


def plain(steps: Steps) -> list[str]:
    """The steps with the digits of chunks' names left out, but for the first frame."""
    return [re.sub(r"(chunk-\d+)-[-0-9a-f]+", r"\1", step) for step in steps.taken]


FINGERPRINT = [
    "sync work/.flashvsr.tmp",
    "name work/.flashvsr.tmp -> work/chunks.fingerprint",
    "sync work/",
]


def chunk(first: str) -> list[str]:
    return [f"sync work/chunk-{first}.tmp", f"name work/chunk-{first}.tmp -> work/chunk-{first}.nut", "sync work/"]


def test_the_content_of_a_chunk_its_name_and_the_folder(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps(monkeypatch, tmp_path)
    store = ChunkStore(tmp_path / "work", "one")
    write(store, 0)
    write(store, 3)
    expected = ["make work/", "sync ./", *FINGERPRINT, *chunk("000000000"), *chunk("000000003")]
    assert plain(steps) == expected


def test_chunks_of_another_kind_are_gone_before_the_new_kind_is_told(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ChunkStore(tmp_path / "work", "one")
    write(store, 0)
    steps = Steps(monkeypatch, tmp_path)
    write(ChunkStore(tmp_path / "work", "two"), 0)
    expected = ["remove work/chunks.fingerprint", "remove work/chunk-000000000.nut", *FINGERPRINT]
    assert [step for step in plain(steps) if step != "sync ./"] == [*expected, *chunk("000000000")]
