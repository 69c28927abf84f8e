"""Chunks that the disk loses or changes: they and those behind them are made again, the others are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flashvsr.errors import Cancelled, Interrupted, Transient
from flashvsr.model.windows import FRAMES_PER_WINDOW
from flashvsr.settings.config import Chunks, Config
from flashvsr.settings.preset import Preset
from flashvsr.upscaling import file as upscale
from flashvsr.upscaling.file import MOST_REMAKES, Task, salvage
from flashvsr.video.chunks import ChunkStore, stored_chunks, whole_chunks
from kits.chain import IdentityEngine, Watching, chain, played
from kits.videos import number_of, numbered, write_video

FRAMES, SIZE = 60, 16
SETTINGS = Config(chunks=Chunks(size=SIZE))
Damage = Callable[[Path], object]


def flip(path: Path) -> None:
    """One bit, in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def zero_the_end(path: Path) -> None:
    """Where the index of the file is."""
    data = path.read_bytes()
    path.write_bytes(data[:-64] + bytes(64))


def forge(path: Path) -> None:
    """Another chunk's content under its name."""
    other = next(p for p in path.parent.glob("chunk-*.nut") if p != path)
    path.write_bytes(other.read_bytes())


DAMAGES: dict[str, Damage] = {
    "flipped": flip,
    "index": zero_the_end,
    "forged": forge,
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "gone": Path.unlink,
}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", [numbered(n) for n in range(FRAMES)])


class Damaging(Watching):
    """Damages a chunk between the last frame and the joining, `times` times."""

    def __init__(self, folder: Path, damage: Damage, number: int, times: int = 1) -> None:
        super().__init__()
        self._folder, self._damage, self._number, self._left = folder, damage, number, times

    def check_outbox(self) -> None:
        chunks = stored_chunks(self._folder)
        if self._left and sum(chunk.frames for chunk in chunks) == FRAMES:
            self._left -= 1
            self._damage(chunks[self._number].path)


def is_whole(result: Path) -> bool:
    return [number_of(picture) for picture in played(result).pictures] == list(range(FRAMES))


def origins(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where the model starts, in frames; every start of it is added."""
    starts: list[int] = []
    stream = IdentityEngine.stream

    def noted(self: IdentityEngine, size: object, options: object, origin: int) -> object:
        starts.append(origin * FRAMES_PER_WINDOW)
        return stream(self, size, options, origin)  # type: ignore[arg-type]

    monkeypatch.setattr(IdentityEngine, "stream", noted)
    return starts


@pytest.mark.parametrize("number", [0, 1, 3])
@pytest.mark.parametrize("kind", ["flipped", "gone"])
def test_damage_before_the_joining_is_mended(
    kind: str, number: int, tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upscale, "WARM_UP_FRAMES", 0)
    starts = origins(monkeypatch)
    report = chain(clip, tmp_path, SETTINGS, Damaging(tmp_path / "work", DAMAGES[kind], number))
    assert starts == [0, number * SIZE]
    assert report.resumed_at == number * SIZE, "what comes before it is kept"
    assert is_whole(report.result)


@pytest.mark.parametrize("kind", DAMAGES)
def test_every_kind_of_damage_is_seen_at_the_joining(kind: str, tmp_path: Path, clip: Path) -> None:
    report = chain(clip, tmp_path, SETTINGS, Damaging(tmp_path / "work", DAMAGES[kind], 2))
    assert report.resumed_at == 2 * SIZE
    assert is_whole(report.result)


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_seen_when_the_work_goes_on(kind: str, tmp_path: Path, clip: Path) -> None:
    with pytest.raises(Interrupted):
        chain(clip, tmp_path, SETTINGS, Watching(stop_at=FRAMES - 5, error=Interrupted("the service stops")))
    chunks = stored_chunks(tmp_path / "work")
    assert len(chunks) > 2
    kept = [chunk.path.stat().st_ino for chunk in chunks[:1]]
    DAMAGES[kind](chunks[1].path)
    control = Watching()
    report = chain(clip, tmp_path, SETTINGS, control)
    assert report.resumed_at == control.done[0] == SIZE
    assert is_whole(report.result)
    assert kept == [chunks[0].path.stat().st_ino]


def test_a_disk_that_damages_all_it_gets_does_not_keep_the_worker_for_ever(tmp_path: Path, clip: Path) -> None:
    control = Damaging(tmp_path / "work", flip, 3, times=100)
    with pytest.raises(Transient, match=r"chunk-000000048-.*made again 3 times\. Check that disk's health"):
        chain(clip, tmp_path, SETTINGS, control)
    assert control.done.count(FRAMES) >= MOST_REMAKES + 1
    assert len(whole_chunks(tmp_path / "work")) == 3


def test_a_damaged_fingerprint_starts_afresh(tmp_path: Path) -> None:
    ChunkStore(tmp_path, "one")
    (tmp_path / "chunks.fingerprint").write_bytes(b"\xff\xfe\0")
    assert ChunkStore(tmp_path, "one").durable() == []
    assert (tmp_path / "chunks.fingerprint").read_text() == "one"


@pytest.mark.parametrize("kind", ["flipped", "cut", "gone"])
def test_a_partial_video_ends_at_the_damage(kind: str, tmp_path: Path, clip: Path) -> None:
    with pytest.raises(Cancelled):
        chain(clip, tmp_path, SETTINGS, Watching(stop_at=FRAMES - 5, error=Cancelled("cancelled")))
    DAMAGES[kind](stored_chunks(tmp_path / "work")[2].path)
    task = Task(clip, tmp_path / "out" / "clip.mp4", Preset(), tmp_path / "work", 1)
    partial = salvage(task, SETTINGS, "cancelled")
    assert partial is not None
    assert [number_of(picture) for picture in played(partial).pictures] == list(range(2 * SIZE))


def test_no_partial_video_of_nothing(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(Cancelled):
        chain(clip, tmp_path, SETTINGS, Watching(stop_at=FRAMES - 5, error=Cancelled("cancelled")))
    flip(stored_chunks(tmp_path / "work")[0].path)
    task = Task(clip, tmp_path / "out" / "clip.mp4", Preset(), tmp_path / "work", 1)
    assert salvage(task, SETTINGS, "cancelled") is None


def test_pictures_are_those_of_an_undamaged_run(tmp_path: Path, clip: Path) -> None:
    for name in ("calm", "rough"):
        (tmp_path / name).mkdir()
    calm = chain(clip, tmp_path / "calm", SETTINGS)
    rough = chain(clip, tmp_path / "rough", SETTINGS, Damaging(tmp_path / "rough" / "work", flip, 1))
    assert np.array_equal(played(calm.result).pictures, played(rough.result).pictures)
