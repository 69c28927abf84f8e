"""Which chunks count, by their names and their content, and in which order they reach the disk. Nothing is encoded."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest

from flashvsr.errors import FlashVSRError, Transient
from flashvsr.files.advice import LOST
from flashvsr.files.names import OUR_PREFIX
from flashvsr.video import chunks
from flashvsr.video.chunks import Chunk, ChunkStore, DamagedChunk, stored_chunks, whole_chunks
from flashvsr.video.digests import digest_of
from flashvsr.video.stream_writer import StreamWriter
from kits.chunk_files import an_encoder, fill_chunk
from kits.videos import numbered

ANY = "0123456789abcdef" * 2


def lay(folder: Path, first: int, frames: int, last_pts: int = 9, content: bytes = b"frames") -> Path:
    """A chunk of this content, with the name that belongs to it."""
    draft = folder / "draft"
    draft.write_bytes(content)
    numbers = f"{first:09d}-{frames:06d}-{last_pts}"
    return draft.rename(folder / f"chunk-{numbers}-{digest_of(draft, numbers)}.nut")


def spans(found: list[Chunk]) -> list[tuple[int, int]]:
    return [(chunk.first, chunk.end) for chunk in found]


@pytest.mark.parametrize(
    ("laid", "kept"),
    [
        ([(0, 4), (4, 3)], [(0, 4), (4, 7)]),
        ([(1, 4)], []),
        ([(0, 4), (5, 4)], [(0, 4)]),
        ([(0, 4), (3, 4), (4, 2)], [(0, 4), (4, 6)]),
        ([(0, 3), (0, 5), (3, 2), (5, 1)], [(0, 5), (5, 6)]),
        ([(0, 0), (0, 2)], [(0, 2)]),
        ([(0, 0)], []),
        ([(0, 4), (4, 0), (4, 1)], [(0, 4), (4, 5)]),
        ([(0, 1_000_000), (1_000_000, 7)], [(0, 1_000_000), (1_000_000, 1_000_007)]),
        ([(0, 1_000_000_000), (1_000_000_000, 7)], [(0, 1_000_000_000), (1_000_000_000, 1_000_000_007)]),
    ],
)
def test_the_chunks_that_follow_each_other(
    laid: list[tuple[int, int]], kept: list[tuple[int, int]], tmp_path: Path
) -> None:
    for first, frames in laid:
        lay(tmp_path, first, frames)
    assert spans(stored_chunks(tmp_path)) == kept


@pytest.mark.parametrize(
    "name",
    [
        f"chunk-00000000-000003-2-{ANY}.nut",
        f"chunk-000000000-00003-2-{ANY}.nut",
        f"chunk-000000000-000003--{ANY}.nut",
        f"chunk-000000000-000003-2-{ANY[1:]}.nut",
        f"chunk-000000000-000003-2-{ANY}0.nut",
        f"chunk-000000000-000003-2-{ANY.upper()}.nut",
        f"chunk-000000000-000003-2-{ANY}.nut.nut",
    ],
)
def test_other_names_are_no_chunks(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert stored_chunks(tmp_path) == []


def test_what_only_has_a_chunks_name_is_none(tmp_path: Path) -> None:
    real = lay(tmp_path, 0, 3)
    elsewhere = tmp_path / "elsewhere.bin"
    real.rename(elsewhere)
    for make in (Path.mkdir, os.mkfifo, lambda path: path.symlink_to(elsewhere)):
        make(real)
        assert stored_chunks(tmp_path) == []
        real.rmdir() if real.is_dir() and not real.is_symlink() else real.unlink()


def test_chunks_behind_a_damaged_one_do_not_count_and_are_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ChunkStore(tmp_path, "x")
    paths = [lay(tmp_path, first, 3, content=bytes([first])) for first in (0, 3, 6)]
    assert spans(whole_chunks(tmp_path)) == [(0, 3), (3, 6), (6, 9)]
    paths[1].write_bytes(b"other")
    with caplog.at_level(logging.WARNING):
        assert spans(whole_chunks(tmp_path)) == [(0, 3)]
    assert "the frames from 3 on do not count" in caplog.text
    assert all(path.exists() for path in paths), "looking changes nothing"
    with caplog.at_level(logging.WARNING):
        assert spans(ChunkStore(tmp_path, "x").durable()) == [(0, 3)]
    assert "2 chunks do not count" in caplog.text
    assert [path.exists() for path in paths] == [True, False, False]


def test_whoever_waits_hears_of_every_chunk_that_is_read(tmp_path: Path) -> None:
    """Chunks may be gigabytes on a slow share: each block that is read is a sign of life, and may end the work."""
    store = ChunkStore(tmp_path, "x")
    for first in (0, 3, 6):
        lay(tmp_path, first, 3, content=bytes(2_500_000))
    signs: list[None] = []
    assert len(whole_chunks(tmp_path, lambda: signs.append(None))) == 3
    assert len(signs) == 9
    assert len(store.durable(lambda: signs.append(None))) == 3
    assert len(signs) == 18


@pytest.mark.parametrize("end", ["abort", "close"])
def test_no_file_stays_open(end: str, tmp_path: Path) -> None:
    def opened() -> list[str]:
        links = [str(name.readlink()) for name in Path("/proc/self/fd").iterdir() if name.is_symlink()]
        return [link for link in links if link.startswith(str(tmp_path))]

    writer = ChunkStore(tmp_path, "x").writer(0, an_encoder())
    writer.write(numbered(0), 0)
    assert opened()
    getattr(writer, end)()
    assert opened() == []


def test_nothing_is_said_where_nothing_is_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ChunkStore(tmp_path, "x")
    lay(tmp_path, 0, 3)
    (tmp_path / "chunk-000000003.tmp").touch()
    assert spans(ChunkStore(tmp_path, "x").durable()) == [(0, 3)]
    assert caplog.text == ""
    assert not (tmp_path / "chunk-000000003.tmp").exists()


@pytest.mark.parametrize("part", ["first", "frames", "last_pts"])
def test_the_numbers_of_the_name_belong_to_the_content(part: str, tmp_path: Path) -> None:
    (chunk,) = [Chunk(lay(tmp_path, 0, 3), 0, 3, 9, "")]
    numbers = {"first": 0, "frames": 3, "last_pts": 9}
    digest = chunk.path.stem.rpartition("-")[2]
    Chunk(chunk.path, **numbers, digest=digest).check()
    with pytest.raises(DamagedChunk, match="not as it was written"):
        Chunk(chunk.path, **numbers | {part: numbers[part] + 1}, digest=digest).check()


@pytest.mark.parametrize("code", [*sorted(LOST), errno.EACCES, errno.ESTALE, errno.EMFILE])
def test_a_chunk_that_the_disk_lost_is_damage_and_anything_else_is_waited_for(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*given: object) -> str:
        raise OSError(code, os.strerror(code))

    chunk = Chunk(lay(tmp_path, 0, 3), 0, 3, 9, ANY)
    monkeypatch.setattr(chunks, "digest_of", failing)
    with pytest.raises(DamagedChunk if code in LOST else Transient, match=os.strerror(code)):
        chunk.check()


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES])
def test_a_fingerprint_that_the_disk_lost_is_another_one(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ChunkStore(tmp_path, "x")
    path = lay(tmp_path, 0, 3)

    def failing(self: Path) -> bytes:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "read_bytes", failing)
    if code in LOST:
        assert ChunkStore(tmp_path, "x").durable() == []
    else:
        with pytest.raises(Transient):
            ChunkStore(tmp_path, "x")
    assert path.exists() == (code not in LOST)


def test_a_link_to_a_folder_is_removed_and_the_folder_is_not(tmp_path: Path) -> None:
    store = ChunkStore(tmp_path / "work", "x")
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.mp4").touch()
    link = tmp_path / "work" / "chunk-000000000.tmp"
    link.symlink_to(tmp_path / "films")
    assert store.durable() == []
    assert not link.is_symlink()
    assert (tmp_path / "films" / "a.mp4").exists()


def test_what_is_flushed_to_the_disk_and_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content before the name that says it is there, then the folder that holds the name."""
    flushed: list[tuple[str, bool]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        flushed.append((name, any(tmp_path.glob("*.nut")) or (tmp_path / "chunks.fingerprint").exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store = ChunkStore(tmp_path, "x")
    above, (mark, named), names = flushed
    assert (above, names) == ((tmp_path.parent.name, False), (tmp_path.name, True))
    assert (mark.startswith(OUR_PREFIX), named) == (True, False)
    flushed.clear()
    (tmp_path / "chunks.fingerprint").unlink()
    fill_chunk(store, 0, 2, an_encoder())
    assert flushed[-2:] == [("chunk-000000000.tmp", False), (tmp_path.name, True)]


@pytest.mark.parametrize("more", [-1, 1])
def test_an_encoder_that_makes_more_or_fewer_packets_is_refused(
    more: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = StreamWriter.finish

    def miscounted(self: StreamWriter, last_step: int | None = None) -> None:
        finish(self, last_step)
        self.packets += more

    monkeypatch.setattr(StreamWriter, "finish", miscounted)
    writer = ChunkStore(tmp_path, "x").writer(0, an_encoder())
    writer.write(numbered(0), 0)
    writer.write(numbered(1), 100)
    with pytest.raises(FlashVSRError, match=f"made {2 + more} packets of 2 frames"):
        writer.close()
    writer.abort()
    assert stored_chunks(tmp_path) == []


def test_the_first_timestamp_is_zero_or_more(tmp_path: Path) -> None:
    writer = ChunkStore(tmp_path, "x").writer(0, an_encoder())
    with pytest.raises(ValueError, match="timestamp -1"):
        writer.write(numbered(0), -1)
    writer.write(numbered(0), 0)
    with pytest.raises(ValueError, match="timestamp 0 after 0"):
        writer.write(numbered(1), 0)
    writer.abort()
