"""Whichever read or write fails, that is what is told: not what FFmpeg or PyAV made of it, and never a whole file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from flashvsr.errors import Interrupted, NoSpace, Transient
from flashvsr.files.advice import FULL
from flashvsr.video.chunks import Chunk, ChunkStore
from flashvsr.video.counted import ReadFile
from flashvsr.video.decode import DecodeOptions, decode
from flashvsr.video.encode import EncoderSettings, open_encoder, output_format
from flashvsr.video.interlacing import examine
from flashvsr.video.media import open_own
from flashvsr.video.mux import assemble
from flashvsr.video.normalise import NormaliseSettings, normalise
from flashvsr.video.probe import SourceInfo, probe
from flashvsr.video.verify import verify
from kits.failing_disk import ERRNOS, FailingDisk, failing_reads, failing_writes
from kits.videos import make_chunks, numbered, tone, write_video

SIZE = (128, 128)
FRAMES = 6


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> SourceInfo:
    rng = np.random.default_rng(1)
    pictures = [numbered(n) ^ rng.integers(0, 40, (*SIZE, 3), np.uint8) for n in range(FRAMES)]
    path = tmp_path_factory.mktemp("source") / "clip.mkv"
    return probe(write_video(path, pictures, audio=tone(0.24)))


@pytest.fixture(scope="module")
def chunks(source: SourceInfo, tmp_path_factory: pytest.TempPathFactory) -> list[Chunk]:
    return make_chunks(source, SIZE, tmp_path_factory.mktemp("work"), lengths=(4,))[0]


def write_chunk(source: SourceInfo, folder: Path) -> None:
    encoder = open_encoder(EncoderSettings("h264", "software", 6, 1), output_format(source, SIZE))
    writer = ChunkStore(folder, "test").writer(0, encoder)
    try:
        for frame in decode(source, SIZE):
            writer.write(frame.rgb, frame.pts)
        writer.close()
    except BaseException:
        writer.abort()
        raise


Work = Callable[[SourceInfo, list[Chunk], Path], object]
WRITING: dict[str, Work] = {
    "mp4": lambda source, chunks, folder: assemble(chunks, source, folder / "a.part", "copy", "mp4"),
    "mkv": lambda source, chunks, folder: assemble(chunks, source, folder / "a.part", "aac", "mkv"),
    "chunk": lambda source, chunks, folder: write_chunk(source, folder),
    "normalised": lambda source, chunks, folder: normalise(
        source, SIZE, DecodeOptions(threads=1), NormaliseSettings(threads=1), folder / "normalised-1.mp4"
    ),
}


def failures(good: FailingDisk) -> Iterator[tuple[str, FailingDisk]]:
    """A disk for each operation of a good run, which fails there in one of the ways, for good or only once."""
    for number, code in zip(range(len(good.operations)), cycle(ERRNOS), strict=False):
        once = bool((number + number // len(ERRNOS)) % 2)
        where = f"operation {number} ({good.operations[number]}) of {len(good.operations)}, once: {once}"
        yield where, FailingDisk(number, code, once)


@pytest.mark.slow
@pytest.mark.parametrize("work", WRITING.values(), ids=WRITING.keys())
def test_a_write_that_fails_anywhere(
    source: SourceInfo, chunks: list[Chunk], work: Work, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def folder(name: str) -> Path:
        made = tmp_path / name
        made.mkdir()
        return made

    good = FailingDisk()
    with failing_writes(good):
        work(source, chunks, folder("good"))
    assert {"write", "fsync", "close"} <= set(good.operations)
    for where, disk in failures(good):
        place = folder(str(disk.at))
        with failing_writes(disk), pytest.raises(Transient) as caught:
            work(source, chunks, place)
        assert os.strerror(disk.code) in str(caught.value), where
        assert str(place) in str(caught.value), where
        assert isinstance(caught.value, NoSpace) == (disk.code in FULL), where
        if disk.at != len(good.operations) - 1:  # a whole chunk whose name is not on the disk yet is none the worse
            assert not [path for path in place.iterdir() if path.suffix in (".nut", ".mp4")], where
    work(source, chunks, folder("afterwards"))  # PyAV has kept nothing of it for another file
    assert "dropped" not in capfd.readouterr().err


def read_all(source: SourceInfo) -> None:
    frames = sum(1 for _ in decode(probe(source.path), SIZE))
    assert frames == FRAMES


READING: dict[str, Work] = {
    "decode": lambda source, chunks, folder: read_all(source),
    "scan": lambda source, chunks, folder: examine(source),
    "sound": lambda source, chunks, folder: assemble(chunks, source, folder / "a.part", "copy", "mkv"),
    "verify": lambda source, chunks, folder: verify(chunks[0].path, 4, SIZE, 0.16),
}


@pytest.mark.slow
@pytest.mark.parametrize("work", READING.values(), ids=READING.keys())
def test_a_read_that_fails_anywhere(source: SourceInfo, chunks: list[Chunk], work: Work, tmp_path: Path) -> None:
    good = FailingDisk()
    with failing_reads(good):
        work(source, chunks, tmp_path)
    assert len(good.operations) > 3
    for where, disk in failures(good):
        with failing_reads(disk), pytest.raises(Transient, match="cannot read") as caught:
            work(source, chunks, tmp_path)
        assert os.strerror(disk.code) in str(caught.value), where
    work(source, chunks, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_an_order_to_stop_that_comes_while_bytes_are_written(
    source: SourceInfo, chunks: list[Chunk], container: str, tmp_path: Path
) -> None:
    """Whoever hears of the progress may end the work at any of its signs, also while the index is moved."""
    signs: list[int] = []

    def stop_at(number: int) -> None:
        signs.append(number)
        if len(signs) - 1 == number:
            raise Interrupted("the service stops")

    with failing_writes(FailingDisk()):
        assemble(chunks, source, tmp_path / "a.part", "copy", container, progress=lambda: stop_at(-2))
        total = len(signs)
        for number in range(total):
            signs.clear()
            with pytest.raises(Interrupted, match="the service stops"):
                assemble(chunks, source, tmp_path / "a.part", "copy", container, progress=lambda: stop_at(number))  # noqa: B023


def test_a_failing_disk_is_told_from_damage(tmp_path: Path) -> None:
    """FFmpeg says EIO for content, too; that is no reason to wait."""
    damaged = tmp_path / "damaged.nut"
    damaged.write_bytes(bytes(range(256)))
    with pytest.raises(Exception, match="cannot be read back") as caught, open_own(damaged):
        pass
    assert not isinstance(caught.value, Transient)
    with pytest.raises(Transient, match="No such file"), open_own(tmp_path / "none"):
        pass


@pytest.mark.parametrize("place", [-1, (1 << 62) + 1, (1 << 63) - 1])
def test_a_place_that_no_file_has_is_damage(source: SourceInfo, place: int) -> None:
    with closing(ReadFile(os.open(source.path, os.O_RDONLY))) as file:
        assert file.seek(place) < 0
        assert file.seek(1 << 62) == 1 << 62
        assert file.read(1 << 18) == b""
        assert file.seek(-4, os.SEEK_END) == source.path.stat().st_size - 4
        assert len(file.read(100)) == 4
        assert file.failure.error is None
