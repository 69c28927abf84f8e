"""Attempts at a file: what the disk damaged meanwhile is made again, and where memory is short less of it is used."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import pytest
import torch
from torch import Tensor

from flashvsr.errors import Interrupted, SourceRenamed, Transient
from flashvsr.files.trees import NO_LINKS
from flashvsr.model.stream import StreamOptions
from flashvsr.model.windows import FRAMES_PER_WINDOW
from flashvsr.outbox.publish import Outbox
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Chunks
from flashvsr.upscaling import file as module
from flashvsr.upscaling import plan
from flashvsr.upscaling.file import MOST_REMAKES, upscale_file
from flashvsr.upscaling.report import Report
from flashvsr.upscaling.task import Task
from flashvsr.video.chunks import stored_chunks, whole_chunks
from flashvsr.video.geometry import Geometry
from kits.chain import SAME, IdentityEngine, IdentityStream, Watching, chain, played
from kits.damages import DAMAGES, Damage, flip
from kits.videos import number_of, numbered, write_video

FRAMES, SIZE = 60, 16
CONFIG = Config(chunks=Chunks(size=SIZE))


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


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1, 3])
@pytest.mark.parametrize("kind", ["flipped", "gone"])
def test_damage_before_the_joining_is_mended(
    kind: str, number: int, tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "WARM_UP_FRAMES", 0)
    starts = origins(monkeypatch)
    report = chain(clip, tmp_path, CONFIG, Damaging(tmp_path / "work", DAMAGES[kind], number))
    assert starts == [0, number * SIZE]
    assert report.resumed_at == number * SIZE, "what comes before it is kept"
    assert is_whole(report.result)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DAMAGES)
def test_every_kind_of_damage_is_seen_at_the_joining(kind: str, tmp_path: Path, clip: Path) -> None:
    report = chain(clip, tmp_path, CONFIG, Damaging(tmp_path / "work", DAMAGES[kind], 2))
    assert report.resumed_at == 2 * SIZE
    assert is_whole(report.result)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_seen_when_the_work_goes_on(kind: str, tmp_path: Path, clip: Path) -> None:
    with pytest.raises(Interrupted):
        chain(clip, tmp_path, CONFIG, Watching(stop_at=FRAMES - 5, error=Interrupted("the service stops")))
    chunks = stored_chunks(tmp_path / "work")
    assert len(chunks) > 2
    kept = [chunk.path.stat().st_ino for chunk in chunks[:1]]
    DAMAGES[kind](chunks[1].path)
    control = Watching()
    report = chain(clip, tmp_path, CONFIG, control)
    assert report.resumed_at == control.done[0] == SIZE
    assert is_whole(report.result)
    assert kept == [chunks[0].path.stat().st_ino]


def test_a_disk_that_damages_all_it_gets_does_not_keep_the_worker_for_ever(
    tmp_path: Path, clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    control = Damaging(tmp_path / "work", flip, 3, times=100)
    with pytest.raises(Transient, match=r"chunk-000000048-.*made again 3 times\. Check that disk's health"):
        chain(clip, tmp_path, CONFIG, control)
    assert caplog.text.count("the work goes on from there") == MOST_REMAKES
    assert control.done.count(FRAMES) >= MOST_REMAKES + 1
    assert len(whole_chunks(tmp_path / "work")) == 3


def test_pictures_are_those_of_an_undamaged_run(tmp_path: Path, clip: Path) -> None:
    for name in ("calm", "rough"):
        (tmp_path / name).mkdir()
    calm = chain(clip, tmp_path / "calm", CONFIG)
    rough = chain(clip, tmp_path / "rough", CONFIG, Damaging(tmp_path / "rough" / "work", flip, 1))
    assert np.array_equal(played(calm.result).pictures, played(rough.result).pictures)


STEPS = ["first saving", "second saving", "third saving"]


class Failing(IdentityStream):
    """Runs out of memory after some batches."""

    def __init__(self, batches: int) -> None:
        self._batches = batches

    def run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        yield from islice(super().run(frames), self._batches)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


class Tight(IdentityEngine):
    """An engine whose first streams fail; `starts`: windows before the first frame of each."""

    def __init__(self, failures: int, batches: int = 3) -> None:
        self.failures, self.batches = failures, batches
        self.left = list(STEPS)
        self.starts: list[int] = []

    def save_memory(self) -> str | None:
        return self.left.pop(0) if self.left else None

    def stream(self, size: tuple[int, int], options: StreamOptions, origin: int) -> IdentityStream:
        self.starts.append(origin)
        return Failing(self.batches) if len(self.starts) <= self.failures else IdentityStream()


def run(source: Path, folder: Path, engine: Tight) -> Any:
    (folder / "out").mkdir()
    task = Task(source, folder / "out" / "clip.mp4", SAME, folder / "work", 1, NO_LINKS)
    return upscale_file(task, engine, CONFIG, Watching())


def test_the_job_goes_on_with_less(tmp_path: Path, clip: Path) -> None:
    engine = Tight(failures=3)
    report = run(clip, tmp_path, engine)
    assert report.frames == len(played(clip).pictures) == len(played(report.result).pictures)
    assert [warning for warning in report.warnings if "saving" in warning] == [
        f"the GPU's memory is too small for this picture: {step}" for step in STEPS
    ]
    assert report.resumed_at > 0, "what was finished is not done again"


def test_with_nothing_left_to_save_the_error_comes_out(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        run(clip, tmp_path, Tight(failures=4))
    assert list((tmp_path / "work").glob("*.nut")), "the finished frames stay for the next attempt"


class Holding(IdentityStream):
    """Holds something large when the memory runs out, as a model does."""

    def __init__(self, large: set[Tensor]) -> None:
        self._large = large

    def run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        held = torch.zeros(8)
        self._large.add(held)
        yield from islice(super().run(frames), 1)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def test_the_next_attempt_begins_without_what_the_failed_one_held(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: Any = WeakSet()
    engine, left = Tight(failures=0), []
    streams = iter([Holding(held)])
    monkeypatch.setattr(engine, "stream", lambda *_: next(streams, None) or IdentityStream())

    def freeing() -> None:
        gc.collect()
        left.append(len(held))

    monkeypatch.setattr(module, "free_gpu_memory", freeing)
    run(clip, tmp_path, engine)
    assert left == [0]


class Renaming(Watching):
    """The source gets another name while the result is about to get its own, `times` times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left, self.asked = times, 0

    def present(self, task: Task) -> Task:
        self.asked += 1
        name = f"name {self.asked}.mp4"
        return replace(task, source=task.source.with_name(name), target=task.target.with_name(name))

    def publishing(self, report: Report, size: int, mtime_ns: int) -> None:
        if self.left:
            self.left -= 1
            raise SourceRenamed("the file is called otherwise now")


def test_the_result_gets_the_last_name_of_its_source(tmp_path: Path, clip: Path) -> None:
    report = chain(clip, tmp_path, CONFIG, Renaming(2))
    assert report.result == tmp_path / "out" / "name 3.mp4"
    assert report.source["path"] == str(clip.with_name("name 3.mp4"))
    assert list(report.result.parent.iterdir()) == [report.result]


def test_what_makes_the_engine_slow_is_a_warning(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IdentityEngine, "note", "many times slower than it could be")
    assert chain(clip, tmp_path, CONFIG).warnings[0] == "many times slower than it could be"


def test_what_the_decoder_found_is_a_warning(tmp_path: Path) -> None:
    """Behind what was known before it; the report is what a person reads of the file."""
    times = [*range(20), *range(23, 30)]
    path = write_video(tmp_path / "a.mp4", [numbered(n) for n in range(len(times))], times=times)
    config = replace(CONFIG, streaming=replace(CONFIG.streaming, lq_max_bytes=1))
    room, gap = chain(path, tmp_path, config).warnings
    assert room.startswith("streaming.lq_max_bytes = 1 holds fewer")
    assert gap.startswith("3 frames seem to be missing in 1 gaps of the source's clock")


def test_what_is_joined_and_checked_are_signs_of_life(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For hours of video both take a while; and the check is for what was joined."""
    control, signs, checked = Watching(), dict[str, int](), list[object]()

    def watched(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def watch(*given: Any, **named: Any) -> Any:
            before = control.signs
            made = work(*given, **named)
            signs[name] = control.signs - before
            if name == "verify":
                checked.extend(given[1:5])
            return made

        return watch

    for name in ("assemble", "verify"):
        monkeypatch.setattr(module, name, watched(name, getattr(module, name)))
    report = chain(clip, tmp_path, CONFIG, control, scale=2.0)
    assert signs["assemble"] >= FRAMES
    assert signs["verify"] >= FRAMES
    assert checked == [FRAMES, (256, 256), report.duration, 0]


def test_a_source_that_is_moved_takes_its_result_along(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another folder may be on another disk: the result is written anew there, and nothing of it stays behind."""
    (tmp_path / "elsewhere").mkdir()
    places: list[Path] = []

    class Moving(Renaming):
        def present(self, task: Task) -> Task:
            found = super().present(task)
            return replace(found, target=tmp_path / "elsewhere" / "a.mp4") if self.asked > 1 else found

    new_result = Outbox.new_result

    def noted(outbox: Outbox, path: Path) -> Any:
        places.append(path.parent)
        return new_result(outbox, path)

    monkeypatch.setattr(Outbox, "new_result", noted)
    report = chain(clip, tmp_path, CONFIG, Moving(1))
    assert report.result == tmp_path / "elsewhere" / "a.mp4"
    assert places == [tmp_path / "out", tmp_path / "elsewhere"]
    assert list((tmp_path / "out").iterdir()) == []
    assert is_whole(report.result)


@pytest.mark.parametrize(("fit", "output"), [("pad", (160, 96)), ("crop", (128, 128))])
def test_the_model_gets_whole_blocks(fit: str, output: tuple[int, int], tmp_path: Path) -> None:
    asked: list[object] = []

    class Asked(IdentityEngine):
        def stream(self, size: tuple[int, int], options: StreamOptions, origin: int) -> IdentityStream:
            asked.append((size, options, origin))
            return IdentityStream()

    width, height = (160, 96) if fit == "pad" else (160, 200)
    path = write_video(tmp_path / "a.mp4", [numbered(n, width, height) for n in range(3)])
    report = chain(path, tmp_path, engine=Asked(), fit=fit, sparse_ratio=1.5, local_range=9, color_fix="none", seed=3)
    size = (256, 128) if fit == "pad" else (128, 128)
    assert asked == [(size, StreamOptions(sparse_ratio=1.5, local_range=9, color_fix="none", seed=3), 0)]
    assert report.geometry.output == played(report.result).size == output


class Planned(Watching):
    """Keeps what is planned."""

    def planned(self, source: tuple[int, int], geometry: Geometry, frames: int | None, remarks: Sequence[str]) -> None:
        assert not self.done, "the first frame is there already"
        self.plan = source, geometry, frames, [*remarks]


def test_what_will_be_made_is_told_before_the_first_frame(tmp_path: Path, clip: Path) -> None:
    control = Planned()
    report = chain(clip, tmp_path, CONFIG, control, scale=2.0, width=130)
    (width, height), geometry, frames, remarks = control.plan
    assert (report.source["width"], report.source["height"]) == (width, height)
    assert geometry == report.geometry
    assert frames == report.frames == FRAMES
    assert set(remarks) <= set(report.warnings)
