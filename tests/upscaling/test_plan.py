"""What is decided about a file before its first frame: no model, and none of its frames, is needed for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest

from flashvsr.errors import BadInput, Interrupted, NoSpace, Transient
from flashvsr.files.trees import NO_LINKS, Trees
from flashvsr.outbox.publish import Outbox
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Chunks, Preprocess, SourceLimits, Streaming
from flashvsr.upscaling import first_look
from flashvsr.upscaling import plan as module
from flashvsr.upscaling.control import Control
from flashvsr.upscaling.plan import Plan, prepare
from flashvsr.upscaling.prober import Prober, prober_for
from flashvsr.upscaling.task import Task
from flashvsr.video.allocations import largest_block
from flashvsr.video.chunks import stored_chunks
from flashvsr.video.counted import Progress, nothing
from flashvsr.video.decode import DecodeOptions
from flashvsr.video.interlacing import Scan
from flashvsr.video.limits import Limits
from flashvsr.video.media import source_status
from flashvsr.video.normalise import Normalised, normalise
from flashvsr.video.probe import SourceInfo
from kits.chain import SAME, IdentityEngine, Watching, chain
from kits.videos import numbered, write_video

OUTBOX = Outbox(NO_LINKS)

FRAMES, SIZE = 60, 16
CONFIG = Config(chunks=Chunks(size=SIZE))


class NoModel(IdentityEngine):
    """An engine that makes no stream."""

    def stream(self, *_: object) -> object:  # type: ignore[override]
        pytest.fail("a plan needs no model")


@pytest.fixture
def task(tmp_path: Path) -> Task:
    source = write_video(tmp_path / "clip.mp4", [numbered(n) for n in range(FRAMES)])
    (tmp_path / "out").mkdir()
    return Task(source, tmp_path / "out" / "clip.mp4", SAME, tmp_path / "work", 1, NO_LINKS)


def planned(task: Task, config: Config = CONFIG, control: Control | None = None) -> Plan:
    return prepare(task, cast(Any, NoModel()), config, control or Control())


def begun(task: Task) -> None:
    """Leave what a worker that died after 48 frames would."""
    with pytest.raises(Interrupted):
        chain(task.source, task.workdir.parent, CONFIG, Watching(stop_at=FRAMES - 5, error=Interrupted("stopped")))
    for chunk in stored_chunks(task.workdir):
        if chunk.end > 48:
            chunk.path.unlink()


def test_a_fresh_file(task: Task) -> None:
    found = planned(replace(task, preset=replace(SAME, scale=2.0, sparse_ratio=1.5, seed=7)))
    assert found.picture is found.source
    assert found.geometry.output == (256, 256)
    assert (found.resumed_at, found.origin, found.warm_up) == (0, 0, 0)
    assert (found.options.sparse_ratio, found.options.seed) == (1.5, 7)
    assert found.encoder.name == "libx264"
    assert found.chunk_frames == SIZE
    assert found.warnings == ()


def test_a_short_file_is_one_chunk(task: Task) -> None:
    assert planned(task, Config(chunks=Chunks(size=SIZE, min_frames=FRAMES))).chunk_frames == 0
    assert planned(task, Config(chunks=Chunks(size=SIZE, min_frames=FRAMES - 1))).chunk_frames == SIZE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("warm_up", "origin"), [(128, 0), (48, 0), (47, 0), (40, 1), (20, 3), (16, 4), (0, 6)], ids=lambda number: number
)
def test_it_goes_on_behind_what_is_done(task: Task, monkeypatch: pytest.MonkeyPatch, warm_up: int, origin: int) -> None:
    """The model begins with a whole window, early enough for its warm-up."""
    begun(task)
    monkeypatch.setattr(module, "WARM_UP_FRAMES", warm_up)
    found = planned(task)
    assert [chunk.first for chunk in found.chunks] == [0, 16, 32]
    assert found.resumed_at == 48
    assert found.origin == origin
    assert found.decoding.first_frame == 8 * origin
    assert found.warm_up == 48 - 8 * origin >= warm_up * (origin > 0)


def touched(task: Task) -> None:
    write_video(task.source, [numbered(n) for n in range(FRAMES - 1)])


CHANGES: dict[str, tuple[Callable[[Task], object], dict[str, Any], Config]] = {
    "source": (touched, {}, CONFIG),
    "preset": (lambda _: None, {"quality": 8}, CONFIG),
    "preprocess": (lambda _: None, {}, Config(chunks=Chunks(size=SIZE), preprocess=Preprocess(crf=3))),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_chunks_of_another_kind_are_not_gone_on_with(task: Task, change: str) -> None:
    begun(task)
    assert planned(task).resumed_at == 48
    happen, preset, config = CHANGES[change]
    happen(task)
    assert planned(replace(task, preset=replace(SAME, **preset)), config).resumed_at == 0
    assert list(task.workdir.glob("*.nut")) == []


def test_nor_are_those_of_another_model(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(task)
    monkeypatch.setattr(NoModel, "identity", "another one")
    assert planned(task).resumed_at == 0


class Refusing(Control):
    """Raises `error` in one of its methods."""

    def __init__(self, method: str, error: Exception) -> None:
        def refuse(*_: object) -> None:
            raise error

        setattr(self, method, refuse)


@pytest.mark.parametrize(
    ("method", "error"), [("check_outbox", Transient("the share is away")), ("check_room", NoSpace("too full"))]
)
def test_nothing_is_made_where_the_result_cannot_go(task: Task, method: str, error: Exception) -> None:
    with pytest.raises(type(error)):
        planned(task, control=Refusing(method, error))
    assert not task.workdir.exists()
    assert list(task.target.parent.iterdir()) == []


def test_room_is_asked_for_what_is_missing(task: Task) -> None:
    class Asking(Control):
        def check_room(self, needs: Sequence[tuple[Path, int]]) -> None:
            self.needs = dict(needs)

    first, later = Asking(), Asking()
    planned(task, control=first)
    begun(task)
    planned(task, control=later)
    assert set(first.needs) == {task.workdir, task.target.parent}
    written = sum(path.stat().st_size for path in task.workdir.glob("*.nut"))
    assert first.needs[task.workdir] - later.needs[task.workdir] == written > 0
    assert first.needs[task.target.parent] == later.needs[task.target.parent] > 0


def test_what_an_attempt_that_died_left_in_the_outbox_is_removed(task: Task) -> None:
    left, others = OUTBOX.temporary_for(task.target, 1), OUTBOX.temporary_for(task.target, 2)
    for path in (left, others):
        path.touch()
    planned(task)
    assert list(task.target.parent.iterdir()) == [others]


def write_deep(path: Path, pictures: list[np.ndarray]) -> None:
    """A film of more than 8 bits that may be seen through."""
    with av.open(str(path), "w", format="matroska") as out:
        stream = out.add_stream("prores_ks", rate=25)
        stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "yuva444p10le"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgba").reformat(format="yuva444p10le")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


INTERLACED = Scan("tff", flagged=True)


class Examining(Prober):
    """Finds every file interlaced."""

    examined = 0

    def examine(self, trees: Trees, info: SourceInfo, progress: object = None) -> Scan:
        self.examined += 1
        return INTERLACED


def test_fields_are_looked_for_where_they_are_to_be_joined(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Examining(0)
    asked.probe = prober_for(CONFIG).probe  # type: ignore[method-assign]
    for asks in (module, first_look):
        monkeypatch.setattr(asks, "prober_for", lambda _: asked)
    found = planned(replace(task, preset=replace(SAME, deinterlace="auto")))
    assert found.scan == found.decoding.scan == INTERLACED
    assert found.warnings == (INTERLACED.note,)
    assert planned(replace(task, preset=replace(SAME, deinterlace="off"))).decoding.scan == Scan()
    assert asked.examined == 1


def test_a_normalised_file_is_decoded_in_place_of_the_source(task: Task) -> None:
    found = planned(task, replace(CONFIG, preprocess=Preprocess(mode="file", hwaccel="cuda")))
    assert found.source.path == task.source
    assert found.picture.path.parent == task.workdir
    assert (found.picture.width, found.picture.height) == found.geometry.scaled
    assert (found.decoding.scan, found.decoding.hardware) == (Scan(), ""), "that has been done"
    assert planned(task).picture.path == task.source
    assert not found.picture.path.exists(), "nobody needs it any more"


class Made:
    """Stands for `normalise`, and notes what is to be made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.targets: list[Path] = []
        monkeypatch.setattr(module, "normalise", self)

    def __call__(self, info: SourceInfo, size: object, how: object, wanted: object, target: Path, *_: object) -> Any:
        self.targets.append(target)
        target.touch()
        return Normalised(replace(info, bits=8), ("its warning",))


BY_FILE = Preprocess(mode="file")
MADE_ANEW: dict[str, tuple[Callable[[Task], object], dict[str, Any], Preprocess]] = {
    "source": (touched, {}, BY_FILE),
    "time": (lambda task: os.utime(task.source, ns=(1, 1)), {}, BY_FILE),
    "size": (lambda _: None, {"width": 64}, BY_FILE),
    "scan": (lambda _: None, {"deinterlace": "auto"}, BY_FILE),
    "quality": (lambda _: None, {}, replace(BY_FILE, crf=3)),
    "codec": (lambda _: None, {}, replace(BY_FILE, video_codec="libx265")),
}


@pytest.mark.parametrize("change", MADE_ANEW)
def test_a_normalised_file_of_another_kind_is_made_anew(
    change: str, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, asked = Made(monkeypatch), Examining(0)
    asked.probe = prober_for(CONFIG).probe  # type: ignore[method-assign]
    monkeypatch.setattr(module, "prober_for", lambda _: asked)
    task = replace(task, preset=replace(SAME, deinterlace="off"))
    for _ in range(2):
        planned(task, replace(CONFIG, preprocess=BY_FILE))
    happen, preset, how = MADE_ANEW[change]
    happen(task)
    planned(replace(task, preset=replace(task.preset, **preset)), replace(CONFIG, preprocess=how))
    first, again, other = made.targets
    assert first == again != other
    assert list(task.workdir.glob("normalised-*")) == [other], "the one that nobody needs is gone"


def test_the_room_for_frames_is_that_of_what_is_decoded(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """A normalised file has 8 bits, whatever its source has."""
    Made(monkeypatch)
    write_video(task.source, [numbered(n) for n in range(3)], codec="libx265", pixel_format="yuv420p10le")
    room = Streaming(lq_max_bytes=100 * 128 * 128 * 3)
    by_file = planned(task, replace(CONFIG, preprocess=BY_FILE, streaming=room))
    assert (by_file.room, by_file.warnings) == (100, ("its warning",))
    assert planned(task, replace(CONFIG, streaming=room)).room == 50


def test_fields_are_joined_once(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are when the normalised file is made: what is decoded then has none."""
    asked = Examining(0)
    asked.probe = prober_for(CONFIG).probe  # type: ignore[method-assign]
    for asks in (module, first_look):
        monkeypatch.setattr(asks, "prober_for", lambda _: asked)
    made: list[Scan] = []

    def noted(info: SourceInfo, size: tuple[int, int], how: DecodeOptions, *rest: Any) -> Normalised:
        made.append(how.scan)
        return normalise(info, size, how, *rest)

    monkeypatch.setattr(module, "normalise", noted)
    deinterlaced = replace(task, preset=replace(SAME, deinterlace="auto"))
    found = planned(deinterlaced, replace(CONFIG, preprocess=Preprocess(mode="file")))
    assert (made, found.scan, found.decoding.scan) == ([INTERLACED], INTERLACED, Scan())


@pytest.mark.parametrize("mode", ["stream", "file"])
def test_what_the_source_is_now_is_asked_once(task: Task, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """Asked twice, a source that changes in between would be two things at once."""
    asked: list[Path] = []

    def noted(path: Path) -> os.stat_result:
        asked.append(path)
        return source_status(path)

    monkeypatch.setattr(module, "source_status", noted)
    planned(task, replace(CONFIG, preprocess=Preprocess(mode=mode)))
    assert asked == [task.source]


class Noting(Prober):
    """Examines like the real one, and notes what it is asked."""

    def __init__(self) -> None:
        super().__init__(0)
        self.limits: list[Limits] = []
        self.waiting: list[object] = []
        self.trees: list[Trees] = []

    def probe(
        self, trees: Trees, path: Path, limits: Limits, progress: Progress = nothing, seconds: float = 0.0
    ) -> SourceInfo:
        self.limits.append(limits)
        self.trees.append(trees)
        self.waiting.append(progress)
        return prober_for(CONFIG).probe(trees, path, limits, progress, seconds)

    def examine(self, trees: Trees, info: SourceInfo, progress: Progress = nothing) -> Scan:
        self.waiting.append(progress)
        self.trees.append(trees)
        return Scan()


def test_every_limit_holds_and_whoever_waits_hears_of_the_look(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, control, blocks = Noting(), Control(), list[int]()
    for asks in (module, first_look):
        monkeypatch.setattr(asks, "prober_for", lambda _: asked)
    monkeypatch.setattr(first_look, "bound_allocations", blocks.append)
    allowed = SourceLimits(file_bytes=1 << 30, frames=1000, side=640, memory=512 << 20)
    planned(replace(task, preset=replace(SAME, deinterlace="auto")), replace(CONFIG, limits=allowed), control)
    assert asked.limits == [Limits(1 << 30, 1000, 640, 512 << 20)]
    assert asked.waiting == [control.working, control.working]
    assert asked.trees == [task.trees, task.trees]
    assert blocks == [largest_block(512 << 20, 128 * 128)]


def test_a_result_larger_than_its_source_may_be_allocated(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[int] = []
    monkeypatch.setattr(first_look, "bound_allocations", blocks.append)
    allowed = replace(CONFIG, limits=SourceLimits(memory=1 << 20))
    for asks in (module, first_look):
        monkeypatch.setattr(asks, "prober_for", lambda _: Noting())
    found = planned(replace(task, preset=replace(SAME, scale=4.0)), allowed)
    width, height = found.geometry.output
    assert blocks == [largest_block(1 << 20, width * height)] != [largest_block(1 << 20, 128 * 128)]


def test_the_settings_of_decoding_are_kept(task: Task) -> None:
    wanted = replace(CONFIG, streaming=Streaming(decode_threads=5), preprocess=Preprocess(hwaccel="cuda"))
    found = planned(task, wanted)
    assert (found.decoding.threads, found.decoding.hardware) == (5, "cuda")
    assert planned(task, replace(CONFIG, streaming=Streaming(prefetch_frames=9))).prefetch == 9


def test_chunks_that_are_looked_through_are_signs_of_life(task: Task) -> None:
    """A long film may have gigabytes of them."""
    fresh, later = Watching(), Watching()
    planned(task, control=fresh)
    begun(task)
    planned(task, control=later)
    assert later.signs >= fresh.signs + len(stored_chunks(task.workdir)) - 1 > fresh.signs


def test_all_that_a_person_should_know_is_told(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the source, how it was scanned, what a normalised file costs, the encoder, and the settings."""
    rng = np.random.default_rng(0)
    deep = [rng.integers(0, 255, (96, 96, 4), np.uint8)] * 2
    write_deep(task.source, deep)
    asked = Examining(0)
    asked.probe = prober_for(CONFIG).probe  # type: ignore[method-assign]
    for asks in (module, first_look):
        monkeypatch.setattr(asks, "prober_for", lambda _: asked)
    made = replace(CONFIG, preprocess=Preprocess(mode="file"), streaming=Streaming(lq_max_bytes=1))
    preset = replace(SAME, deinterlace="auto", encoder="nvenc")
    monkeypatch.setattr("flashvsr.video.encode.problem_of", lambda e: "none here" if "nvenc" in e.name else None)
    said = planned(replace(task, preset=preset), made).warnings
    expected = ["transparency", "is interlaced", "12 bits", "does not work here", "streaming.lq_max_bytes"]
    assert [next((word for word in expected if word in warning), warning) for warning in said] == expected


def test_settings_that_cannot_be_kept_are_told(task: Task) -> None:
    found = planned(task, replace(CONFIG, streaming=Streaming(lq_max_bytes=1)))
    assert [warning.partition(" holds")[0] for warning in found.warnings] == ["streaming.lq_max_bytes = 1"]
    assert found.room >= 50


def test_what_is_no_video_has_no_plan(task: Task) -> None:
    task.source.write_text("not a video")
    with pytest.raises(BadInput):
        planned(task)
    assert not task.workdir.exists()
