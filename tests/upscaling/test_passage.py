"""The loop between decoder and encoder: nothing is lost in it, whatever ends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from flashvsr.errors import BadInput, Cancelled, LeaseLost
from flashvsr.settings.preset import Preset
from flashvsr.upscaling.control import Control
from flashvsr.upscaling.pairing import Batch, Tagged
from flashvsr.upscaling.passage import Passage, run
from flashvsr.upscaling.threads import RunAhead
from flashvsr.upscaling.transfer import Outgoing
from flashvsr.video.decode import Rgb
from flashvsr.video.geometry import plan
from kits.chain import IdentityEngine, IdentityStream

GEOMETRY = plan(128, 128, Preset(width=0, scale=1.0))
CPU = torch.device("cpu")


def picture(number: int) -> Rgb:
    return np.full((128, 128, 3), number, np.uint8)


def decoded(count: int) -> RunAhead[Tagged[Rgb, int]]:
    return RunAhead((Tagged(picture(number), 10 * number) for number in range(count)), 4)


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()} & {"decode", "upload", "encode"}


@pytest.mark.parametrize(
    ("skip", "lengths"), [(0, [8, 8, 4]), (3, [5, 8, 4]), (8, [0, 8, 4]), (17, [0, 0, 3]), (20, [0, 0, 0])]
)
def test_pictures_come_with_their_tags_and_the_warm_up_does_not(skip: int, lengths: list[int]) -> None:
    with closing(Passage(IdentityStream(), decoded(20), GEOMETRY, CPU, skip=skip)) as passage:
        batches = list(passage)
    assert [len(batch.tags) for batch in batches] == lengths
    assert [len(batch.pixels.wait()) for batch in batches] == lengths
    found = [
        (frame[0, 0, 0], tag) for batch in batches for frame, tag in zip(batch.pixels.wait(), batch.tags, strict=True)
    ]
    assert found == [(number, 10 * number) for number in range(skip, 20)]
    assert threads() == set()


def test_deep_pictures_stay_deep() -> None:
    deep = np.random.default_rng(0).integers(0, 1 << 16, (128, 128, 3), np.uint16)
    source = RunAhead(iter([Tagged(deep, "")]), 1)
    with closing(Passage(IdentityStream(), source, GEOMETRY, CPU, deep=True)) as passage:
        (batch,) = passage
    assert np.array_equal(batch.pixels.wait()[0], deep)


def test_closing_ends_a_decoder_that_runs_far_ahead() -> None:
    with closing(Passage(IdentityStream(), decoded(10_000), GEOMETRY, CPU)) as passage:
        assert next(iter(passage)).tags == list(range(0, 80, 10))
    assert threads() == set()


def test_an_error_of_the_decoder_comes_out() -> None:
    def broken() -> Iterator[Tagged[Rgb, int]]:
        yield Tagged(picture(1), 0)
        raise BadInput("damaged")

    passage = Passage(IdentityStream(), RunAhead(broken(), 4), GEOMETRY, CPU)
    with pytest.raises(BadInput, match="damaged"), closing(passage):
        list(passage)


class Decoding:
    """A decoder. `before`: called before each frame, with its number."""

    def __init__(self, count: int, before: Callable[[int], object] = lambda _: None) -> None:
        self.frames, self.closed = 0, False  # closed when nobody decodes any more
        self._count, self._before = count, before

    def __iter__(self) -> Iterator[Any]:
        for number in range(self._count):
            self._before(number)
            self.frames += 1
            yield SimpleNamespace(rgb=picture(number), pts=number)

    def close(self) -> None:
        self.closed = threads() == set()


class Output:
    """Chunks of any length, as numbers of frames."""

    def __init__(self, frames: int = 0, fails_at: int = -1) -> None:
        self.frames, self.chunks = frames, [frames] if frames else []
        self.written: list[int] = []
        self.kinds: set[np.dtype[Any]] = set()
        self.rescued = threading.Event()
        self._fails_at = fails_at

    def write(self, batch: Batch[Outgoing, int]) -> None:
        for frame, pts in zip(batch.pixels.wait(), batch.tags, strict=True):
            if pts == self._fails_at:
                raise OSError("the disk is gone")
            assert frame[0, 0, 0] == pts * (257 if frame.dtype == np.uint16 else 1)
            self.written.append(pts)
            self.kinds.add(frame.dtype)
            self.frames += 1

    def close(self) -> None:
        if self.written:
            self.chunks.append(len(self.written))

    def rescue(self) -> None:
        self.rescued.set()
        self.close()


class Telling(Control):
    """Notes what it hears; raises `error` at the frame `at`."""

    def __init__(self, at: int = -1, error: BaseException | None = None) -> None:
        self.told: list[tuple[int, int | None]] = []
        self.rates: list[float] = []
        self.signs = 0
        self._at, self._error = at, error

    def progress(self, done: int, total: int | None, fps: float) -> None:
        self.told.append((done, total))
        self.rates.append(fps)
        if self._error is not None and len(self.told) > self._at:
            raise self._error

    def working(self) -> None:
        self.signs += 1


def passed(
    decoder: Decoding, output: Output, control: Control, *, first: int = 0, count: int | None = 20, stream: Any = None,
    deep: bool = False, prefetch: int = 0,
) -> None:  # fmt: skip
    """Run it on these; `first`: the decoder's first frame."""
    engine = IdentityEngine()
    if stream is not None:
        engine.stream = lambda *_: stream  # type: ignore[method-assign]
    made: Any = SimpleNamespace(
        picture=SimpleNamespace(is_deep=deep, frame_count=count, path=Path("clip.mp4")),
        geometry=GEOMETRY, options=None, origin=first // 8, room=4, prefetch=prefetch,
        resumed_at=output.frames, warm_up=output.frames - first,
    )  # fmt: skip
    run(made, engine, decoder, output, control)  # type: ignore[arg-type]


def test_all_frames_are_written_and_told() -> None:
    decoder, output, control = Decoding(20), Output(), Telling()
    passed(decoder, output, control)
    assert output.written == list(range(20))
    assert output.chunks == [20]
    assert control.told[0] == (0, 20)
    assert control.told[-1] == (20, 20)
    assert decoder.closed
    assert not output.rescued.is_set()
    assert threads() == set()


def test_a_file_with_more_frames_than_it_says() -> None:
    control = Telling()
    passed(Decoding(20), Output(), control, count=3)
    assert {total for done, total in control.told[:-1] if done > 3} <= {None}
    assert control.told[-1] == (20, 20)


def test_the_warm_up_is_work_but_makes_no_frames() -> None:
    output, control = Output(frames=18), Telling()
    passed(Decoding(30), output, control, count=30)
    assert output.written == list(range(18, 30))
    assert control.signs >= 2, "two windows gave nothing new"
    assert control.told[0] == (18, 30)


def test_a_file_that_is_as_long_as_it_says_says_so_to_the_end() -> None:
    control = Telling()
    passed(Decoding(20), Output(frames=18), control, count=18)
    assert control.told[0] == (18, 18)


@pytest.mark.parametrize("prefetch", [0, 3])
def test_the_model_begins_when_so_many_frames_are_there_and_that_is_told(prefetch: int) -> None:
    began: list[tuple[int, int]] = []
    control, decoder = Telling(), Decoding(12, lambda _: time.sleep(0.02))

    class Noting(IdentityStream):
        def run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
            source = iter(frames)
            first = next(source)
            began.append((decoder.frames, len(control.told)))
            yield first[:, None]
            yield from super().run(source)

    passed(decoder, Output(), control, stream=Noting(), prefetch=prefetch)
    ((decoded_by_then, told_by_then),) = began
    assert decoded_by_then >= prefetch
    assert told_by_then == 1, "whoever waits knows that it has begun"


def test_as_many_frames_a_second_as_this_attempt_makes() -> None:
    control = Telling()
    passed(Decoding(30), Output(frames=10**9), control, first=10**9, count=None)
    assert max(control.rates) < 10**7


def test_more_than_eight_bits_come_through() -> None:
    output = Output()
    passed(Decoding(9), output, Telling(), deep=True)
    assert output.kinds == {np.dtype(np.uint16)}


@pytest.mark.parametrize("good", [0, 3])
def test_a_source_that_hangs_gives_no_sign_of_life(good: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody would end the worker that waits for it."""
    monkeypatch.setattr("flashvsr.upscaling.threads._WAIT_SECONDS", 0.02)
    control = Telling()
    passed(Decoding(5, lambda number: time.sleep(0.6 if number == good else 0)), Output(), control)
    assert control.signs <= good + 2


def test_no_frame_at_all_is_bad_input() -> None:
    with pytest.raises(BadInput, match=r"clip\.mp4: no frame came out of it"):
        passed(Decoding(0), Output(), Telling())


@pytest.mark.parametrize("error", [Cancelled("stopped"), KeyboardInterrupt()], ids=repr)
def test_what_is_finished_is_rescued_when_the_work_is_stopped(error: BaseException) -> None:
    decoder, output = Decoding(40), Output()
    with pytest.raises(type(error)):
        passed(decoder, output, Telling(2, error))
    assert output.written == list(range(16))
    assert output.chunks == [16]
    assert decoder.closed
    assert threads() == set()


def test_nothing_is_touched_when_the_job_is_another_workers() -> None:
    decoder, output = Decoding(40), Output()
    with pytest.raises(LeaseLost):
        passed(decoder, output, Telling(2, LeaseLost("another worker has it")))
    assert not output.rescued.is_set()
    assert output.chunks == []
    assert decoder.closed
    assert threads() == set()


def test_an_error_of_the_encoder_comes_out() -> None:
    output = Output(fails_at=11)
    with pytest.raises(OSError, match="the disk is gone"):
        passed(Decoding(40), output, Telling())
    assert output.written == list(range(11))
    assert output.rescued.is_set()
    assert threads() == set()


def test_what_is_finished_is_rescued_before_anybody_waits_for_a_source_that_hangs() -> None:
    output, waited = Output(), []

    def hang(number: int) -> None:
        if number == 20:
            waited.append(output.rescued.wait(5))

    class Stopping(Telling):
        def progress(self, done: int, total: int | None, fps: float) -> None:
            super().progress(done, total, fps)
            if len(self.told) > 2:
                raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        passed(Decoding(40, hang), output, Stopping())
    assert waited == [True]


@pytest.mark.slow
def test_frames_that_the_decoder_passes_are_signs_of_life() -> None:
    class Slow:
        def run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
            while batch := list(islice(frames, 8)):
                yield torch.stack(batch, dim=1)

    control = Telling()
    passed(Decoding(3, lambda _: time.sleep(0.7)), Output(), control, stream=Slow())
    assert control.signs >= 2
