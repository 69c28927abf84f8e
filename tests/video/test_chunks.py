from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from flashvsr.errors import FlashVSRError
from flashvsr.video.chunks import ChunkStore, DamagedChunk, stored_chunks
from flashvsr.video.encode import EncoderSettings, open_encoder, output_format
from flashvsr.video.mux import assemble
from flashvsr.video.probe import probe
from kits.chunk_files import SIZE, an_encoder, fill_chunk
from kits.paths import python_environment
from kits.videos import clip_info, frames_of, make_chunks, number_of, numbered, write_video


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
@pytest.mark.parametrize("kind", ["film", "variable"])
def test_joined_chunks_are_the_chunks(codec: str, kind: str, tmp_path: Path) -> None:
    """Same pictures, same order, exact times, at constant and variable rate, in chunks of awkward lengths."""
    pictures = [numbered(n) for n in range(48)]
    if kind == "film":
        source = write_video(tmp_path / "film.mkv", pictures, Fraction(24000, 1001))
    else:
        ticks = [n * 512 + (n % 3) * 97 + (9000 if n >= 20 else 0) for n in range(48)]
        source = write_video(tmp_path / "phone.mp4", pictures, 30, times=ticks, time_base=Fraction(1, 15360))
    info = probe(source)
    chunks, times = make_chunks(info, SIZE, tmp_path / "work", codec, lengths=(17, 1, 2, 13))
    assert [chunk.frames for chunk in chunks] == [17, 1, 2, 13, 13, 2]
    singly = [frame for chunk in chunks for frame in frames_of(chunk.path)]
    assert [time for time, _ in singly] == times

    if kind == "film":
        assert times == [n * Fraction(1001, 24000) for n in range(48)]
    else:
        assert times == [Fraction(t, 15360) for t in ticks]
    for container in ("mp4", "mkv"):
        result = tmp_path / f"result.{container}"
        made = assemble(chunks, info, result, "copy", container)
        joined = frames_of(result)
        assert made.frames == len(joined) == 48
        assert [number_of(picture) for _, picture in joined] == list(range(48))
        assert all(np.array_equal(a[1], b[1]) for a, b in zip(joined, singly, strict=True))
        tolerance = 0 if container == "mp4" else Fraction(1, 2000)  # Matroska rounds to milliseconds
        assert max(abs(a[0] - b) for a, b in zip(joined, times, strict=True)) <= tolerance
        if kind == "film":
            assert probe(result).frame_rate == Fraction(24000, 1001)


def test_film_rate_is_exact_in_the_file(tmp_path: Path) -> None:
    info = probe(write_video(tmp_path / "film.mkv", [numbered(n) for n in range(30)], Fraction(24000, 1001)))
    chunks, _ = make_chunks(info, SIZE, tmp_path / "work")
    assemble(chunks, info, tmp_path / "result.mp4", "copy", "mp4")
    with av.open(str(tmp_path / "result.mp4")) as result:
        stream = result.streams.video[0]
        assert stream.average_rate == stream.base_rate == Fraction(24000, 1001)


def test_only_a_gapless_run_from_the_start_counts(tmp_path: Path) -> None:
    encoder = an_encoder()
    store = ChunkStore(tmp_path, "same")
    for first, frames in ((0, 4), (4, 3), (9, 2)):
        fill_chunk(store, first, frames, encoder)
    (tmp_path / "chunk-000000011.tmp").write_bytes(b"half written")
    (tmp_path / "notes.txt").write_text("not ours")
    again = ChunkStore(tmp_path, "same").durable()
    assert [(chunk.first, chunk.frames, chunk.end) for chunk in again] == [(0, 4, 4), (4, 3, 7)]
    assert again[-1].last_pts == 6 * encoder.format.step
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {again[0].path.name, again[1].path.name, "chunks.fingerprint", "notes.txt"}


def test_another_fingerprint_starts_afresh(tmp_path: Path) -> None:
    fill_chunk(ChunkStore(tmp_path, "one"), 0, 3, an_encoder())
    assert len(stored_chunks(tmp_path)) == 1
    assert ChunkStore(tmp_path, "other").durable() == []
    assert stored_chunks(tmp_path) == []
    fill_chunk(ChunkStore(tmp_path, "other"), 0, 3, an_encoder())
    assert len(ChunkStore(tmp_path, "other").durable()) == 1


def test_abort_leaves_nothing(tmp_path: Path) -> None:
    store = ChunkStore(tmp_path, "x")
    writer = store.writer(0, an_encoder())
    writer.write(numbered(0), 0)
    writer.abort()
    writer.abort()
    assert [path.name for path in tmp_path.iterdir()] == ["chunks.fingerprint"]
    store.discard()
    assert list(tmp_path.iterdir()) == []


def test_wrong_order_is_refused(tmp_path: Path) -> None:
    writer = ChunkStore(tmp_path, "x").writer(0, an_encoder())
    with pytest.raises(ValueError, match="at least one frame"):
        writer.close()
    writer.write(numbered(0), 10)
    with pytest.raises(ValueError, match="timestamp"):
        writer.write(numbered(1), 10)
    writer.abort()


def test_chunks_of_different_encoders_are_not_joined(tmp_path: Path) -> None:
    info = clip_info("bigbuckbunny.mp4")
    store = ChunkStore(tmp_path / "work", "x")
    fill_chunk(store, 0, 3, an_encoder(info))
    fill_chunk(store, 3, 3, open_encoder(EncoderSettings("h264", "software"), output_format(info, (256, 128))))
    with pytest.raises(FlashVSRError, match="another encoder"):
        assemble(store.durable(), info, tmp_path / "out.mp4", "none", "mp4")


def test_a_long_chunk_is_as_it_was_written(tmp_path: Path) -> None:
    """Its digest is made in several goes, while it is written."""
    store = ChunkStore(tmp_path, "x")
    fill_chunk(store, 0, 200, an_encoder())
    assert [chunk.frames for chunk in store.durable()] == [200]


def test_a_chunk_cut_short_is_noticed(tmp_path: Path) -> None:
    info = clip_info("bigbuckbunny.mp4")
    store = ChunkStore(tmp_path / "work", "x")
    fill_chunk(store, 0, 20, an_encoder(info))
    (chunk,) = store.durable()
    chunk.path.write_bytes(chunk.path.read_bytes()[: chunk.path.stat().st_size // 2])
    with pytest.raises(DamagedChunk, match="not as it was written"):
        assemble([chunk], info, tmp_path / "out.mp4", "none", "mp4")


def folder(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "inside").touch()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda work: (work / "chunks.fingerprint").write_bytes(b"\xff\xfe"),
        lambda work: (work / "chunks.fingerprint").write_bytes(b""),
        lambda work: folder(work / "chunks.fingerprint"),
        lambda work: (work / "chunks.fingerprint").symlink_to("nowhere"),
        lambda work: os.mkfifo(work / "chunks.fingerprint"),
        lambda work: folder(work / "chunks.tmp"),
        lambda work: folder(work / "chunk-000000000.tmp"),
        lambda work: folder(work / "chunk-000000000-000003-2.nut"),
        lambda work: (work / "chunk-000000000-000003-2.nut").symlink_to("nowhere"),
        lambda work: (work.rmdir(), work.write_bytes(b"a file")),
    ],
)
def test_whatever_lies_where_chunks_go_stops_no_job(spoil: Callable[[Path], object], tmp_path: Path) -> None:
    work = tmp_path / "7"
    work.mkdir()
    spoil(work)
    store = ChunkStore(work, "x")
    assert store.durable() == []
    assert (work / "chunks.fingerprint").read_text() == "x"
    (work / "chunk-000000000.tmp").write_bytes(b"half")  # the name is free
    store.discard()
    assert list(work.iterdir()) == []


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from kits.chunk_files import an_encoder, fill_chunk
from flashvsr.video.chunks import ChunkStore
store, encoder, first = ChunkStore(Path(sys.argv[1]), "x"), an_encoder(), 0
while True:
    fill_chunk(store, first, 3, encoder)
    first += 3
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(3))
def test_kill_9_loses_no_finished_chunk(moment: int, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path)], env=python_environment())
    try:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("*.nut"))) < 3 + moment and time.monotonic() < deadline:
            time.sleep(0.003 * (moment + 1))
        seen = len(list(tmp_path.glob("*.nut")))
    finally:
        process.kill()
        process.wait()
    chunks = ChunkStore(tmp_path, "x").durable()
    assert len(chunks) >= seen >= 3
    for chunk in chunks:
        assert [number_of(picture) for _, picture in frames_of(chunk.path)] == [
            n % 256 for n in range(chunk.first, chunk.end)
        ]


FILL_THE_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from kits.chunk_files import an_encoder
from flashvsr.errors import Transient
from flashvsr.video.chunks import ChunkStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
encoder = an_encoder(quality=10)
writer = ChunkStore(Path(sys.argv[1]), "x").writer(0, encoder)
rng = np.random.default_rng(0)
try:
    for n in range(200):
        writer.write(rng.integers(0, 255, (128, 128, 3), np.uint8), n * encoder.format.step)
    writer.close()
except Transient as error:
    writer.abort()
    print("transient:", error)
"""


def test_a_full_disk_is_transient(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(tmp_path)],
        env=python_environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.startswith("transient: cannot write"), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["chunks.fingerprint"]


def test_a_damaged_fingerprint_starts_afresh(tmp_path: Path) -> None:
    ChunkStore(tmp_path, "one")
    (tmp_path / "chunks.fingerprint").write_bytes(b"\xff\xfe\0")
    assert ChunkStore(tmp_path, "one").durable() == []
    assert (tmp_path / "chunks.fingerprint").read_text() == "one"
