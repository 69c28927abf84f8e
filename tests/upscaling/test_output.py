"""Finished frames into chunks: how long each is, and what becomes of the open one when the work ends. No encoder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flashvsr.errors import FlashVSRError, NoSpace
from flashvsr.upscaling.output import ChunkedOutput
from flashvsr.upscaling.pairing import Batch
from flashvsr.upscaling.transfer import Outgoing
from flashvsr.video.captions import Captions
from flashvsr.video.chunks import Chunk

ENCODER: Any = object()


def chunk(first: int, frames: int) -> Chunk:
    return Chunk(Path("a"), first, frames, 10 * (first + frames), "")


class Writer:
    """A chunk that is being written; `error`: of its end. `log` is what happens to it."""

    def __init__(self, first: int, error: Exception | None) -> None:
        self.first, self.frames, self.error = first, 0, error
        self.log: list[object] = []

    def write(self, rgb: np.ndarray, pts: int) -> None:
        self.log.append((int(rgb[0, 0, 0]), pts))
        self.frames += 1

    def close(self) -> Chunk:
        self.log.append("closed")
        if self.error is not None:
            raise self.error
        return chunk(self.first, self.frames)

    def abort(self) -> None:
        self.log.append("aborted")


class Store:
    """Makes such writers. `error`: of the end of each."""

    def __init__(self, error: Exception | None = None) -> None:
        self.writers: list[Writer] = []
        self.captions: list[object] = []
        self._error = error

    def writer(self, first: int, encoder: object, captions: object = None) -> Writer:
        assert encoder is ENCODER
        self.captions.append(captions)
        self.writers.append(Writer(first, self._error))
        return self.writers[-1]


def output(store: Store, chunk_frames: int, done: tuple[Chunk, ...] = (), captions: Any = None) -> ChunkedOutput:
    return ChunkedOutput(store, ENCODER, list(done), chunk_frames, captions)  # type: ignore[arg-type]


def batch(first: int, frames: int) -> Batch[Outgoing, int]:
    pixels = np.stack([np.full((2, 2, 3), number, np.uint8) for number in range(first, first + frames)])
    return Batch(Outgoing(pixels, None), [10 * number for number in range(first, first + frames)])


def spans(made: ChunkedOutput) -> list[tuple[int, int]]:
    return [(found.first, found.end) for found in made.chunks]


@pytest.mark.parametrize(
    ("chunk_frames", "expected"), [(0, [(0, 20)]), (7, [(0, 7), (7, 14), (14, 20)]), (10, [(0, 10), (10, 20)])]
)
def test_so_many_frames_are_a_chunk(chunk_frames: int, expected: list[tuple[int, int]]) -> None:
    store = Store()
    made = output(store, chunk_frames)
    for first in (0, 8, 16):
        made.write(batch(first, 8 if first < 16 else 4))
    assert made.frames == 20
    made.close()
    made.close()
    assert spans(made) == expected
    assert [entry for writer in store.writers for entry in writer.log if entry != "closed"] == [
        (number, 10 * number) for number in range(20)
    ]
    assert all(writer.log.count("closed") == 1 for writer in store.writers)


def test_it_goes_on_behind_what_is_there() -> None:
    made = output(Store(), 5, (chunk(0, 8), chunk(8, 3)))
    assert made.frames == 11
    made.write(batch(11, 6))
    made.close()
    assert spans(made) == [(0, 8), (8, 11), (11, 16), (16, 17)]


def test_every_chunk_gets_its_captions() -> None:
    store, captions = Store(), Captions()
    made = output(store, 2, captions=captions)
    made.write(batch(0, 4))
    assert store.captions == [captions, captions]


def test_the_open_chunk_is_rescued_once() -> None:
    store = Store()
    made = output(store, 0)
    made.write(batch(0, 3))
    made.rescue()
    made.rescue()
    made.close()
    assert spans(made) == [(0, 3)]
    assert store.writers[0].log[3:] == ["closed"]


@pytest.mark.parametrize("error", [NoSpace("full"), FlashVSRError("the encoder lost a frame")], ids=repr)
def test_what_cannot_be_rescued_is_given_up_without_another_error(
    error: FlashVSRError, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(error)
    made = output(store, 0, (chunk(0, 8),))
    made.write(batch(8, 3))
    made.rescue()
    assert spans(made) == [(0, 8)]
    assert store.writers[0].log[3:] == ["closed", "aborted"]
    assert f"the frames since the last chunk are lost: {error}" in caplog.text


def test_a_chunk_without_a_frame_is_given_up() -> None:
    """Its first one could not be encoded."""

    class Refusing(Writer):
        def write(self, rgb: np.ndarray, pts: int) -> None:
            raise NoSpace("full")

    refusing = Refusing(0, None)
    made = output(SimpleNamespace(writer=lambda *_: refusing), 0)  # type: ignore[arg-type]
    with pytest.raises(NoSpace):
        made.write(batch(0, 3))
    made.rescue()
    assert (made.frames, made.chunks, refusing.log) == (0, [], ["aborted"])


def test_a_chunk_that_could_not_be_finished_is_not_finished_again() -> None:
    store = Store(NoSpace("full"))
    made = output(store, 3)
    with pytest.raises(NoSpace):
        made.write(batch(0, 4))
    made.rescue()
    assert made.chunks == []
    assert store.writers[0].log[3:] == ["closed"]
