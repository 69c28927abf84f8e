"""Copies beside the computing bring the very pixels that copies in a row bring, whoever is late."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from flashvsr.errors import Interrupted
from flashvsr.settings.preset import Preset
from flashvsr.upscaling.frames import enlarged, finished, from_model, to_model
from flashvsr.upscaling.threads import RunAhead, WriteBehind
from flashvsr.upscaling.transfer import Download, Incoming, Outgoing, Pace, Upload
from flashvsr.video.decode import Rgb
from flashvsr.video.geometry import Geometry, plan
from kits.chain import IdentityEngine, Watching, chain, played
from kits.paths import CLIPS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]

WINDOW = 8
LONGEST_NAP = 0.004  # seconds, of a thread
LONGEST_HOLD = 4_000_000  # cycles for which a stream stands still, some milliseconds
GEOMETRIES = {
    "crop": plan(320, 180, Preset(fit="crop")),
    "pad": plan(200, 140, Preset(width=0, fit="pad")),
    "large": plan(1280, 720, Preset(width=960, fit="crop")),
}


def device() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device())


def noise(geometry: Geometry, count: int, *, deep: bool) -> list[Rgb]:
    generator = np.random.default_rng(count)
    shape = (geometry.scaled[1], geometry.scaled[0], 3)
    if deep:
        return [generator.integers(0, 1 << 16, shape, np.uint16) for _ in range(count)]
    return [generator.integers(0, 1 << 8, shape, np.uint8) for _ in range(count)]


def model(frames: list[torch.Tensor]) -> torch.Tensor:
    """Something that mixes frames and takes more than one kernel: (3, n, H, W)."""
    window = torch.stack(frames, dim=1)
    return (window * 0.75 + window.roll(1, 1) * 0.25).clamp_(-1, 1)


def in_a_row(frames: list[Rgb], geometry: Geometry, *, deep: bool) -> list[Rgb]:
    found = []
    for start in range(0, len(frames), WINDOW):
        window = [to_model(rgb, geometry, device()) for rgb in frames[start : start + WINDOW]]
        torch.cuda.synchronize()
        found.append(from_model(model(window), geometry, deep=deep))
    return found


class Late:
    """Lets threads and streams be late, now and then."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def thread(self) -> None:
        if self._random.random() < 0.3:
            time.sleep(self._random.uniform(0, LONGEST_NAP))

    def stream(self, stream: torch.cuda.Stream | None) -> None:
        assert stream is not None, "on a GPU each direction has a stream of its own"
        if self._random.random() < 0.3:
            with torch.cuda.stream(stream):
                torch.cuda._sleep(self._random.randrange(LONGEST_HOLD))


def side_by_side(frames: list[Rgb], geometry: Geometry, *, deep: bool, seed: int) -> list[Rgb]:
    """The same through the worker's threads and streams, each of them late at random."""
    upload, download, pace = Upload(device()), Download(device()), Pace(device())
    decoding, computing, encoding = Late(seed), Late(seed + 1), Late(seed + 2)
    found: list[Rgb] = []

    def uploaded() -> Iterator[Incoming]:
        for rgb in frames:
            decoding.thread()
            decoding.stream(upload._stream)
            decoded = rgb.copy()  # the decoder lets a frame go as soon as it is sent
            yield upload.send(decoded)
            decoded.fill(0)

    def write(pixels: Outgoing) -> None:
        encoding.thread()
        found.append(pixels.wait().copy())  # and the encoder lets the buffer go

    ahead = RunAhead(uploaded(), 2 * WINDOW, name="upload")
    behind = WriteBehind(write, 3)
    window: list[torch.Tensor] = []
    try:
        with torch.inference_mode():
            for number, frame in enumerate(ahead, 1):
                computing.thread()
                window.append(enlarged(frame.take(), geometry))
                del frame
                if len(window) < WINDOW and number < len(frames):
                    continue
                computing.stream(torch.cuda.current_stream())
                output = model(window)
                window.clear()
                pace.step()
                computing.stream(download._stream)
                behind.put(download.send(finished(output, geometry, deep=deep)))
        behind.finish()
    finally:
        behind.join()
        ahead.close()
    return found


def unequal(found: list[Rgb], expected: list[Rgb]) -> list[int]:
    """Numbers of the windows that differ."""
    assert [window.shape for window in found] == [window.shape for window in expected]
    assert {window.dtype for window in found} == {window.dtype for window in expected}
    return [n for n, (a, b) in enumerate(zip(found, expected, strict=True)) if not np.array_equal(a, b)]


@pytest.mark.parametrize("deep", [False, True], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("shape", ["crop", "pad"])
def test_many_windows_and_everybody_late(shape: str, deep: bool) -> None:
    geometry = GEOMETRIES[shape]
    frames = noise(geometry, 60 * WINDOW + 3, deep=deep)
    expected = in_a_row(frames, geometry, deep=deep)
    for seed in range(3):
        assert unequal(side_by_side(frames, geometry, deep=deep, seed=10 * seed), expected) == []


def test_frames_of_full_size() -> None:
    geometry = GEOMETRIES["large"]
    frames = noise(geometry, 5 * WINDOW, deep=False) * 3
    assert unequal(side_by_side(frames, geometry, deep=False, seed=1), in_a_row(frames, geometry, deep=False)) == []


def test_work_on_another_stream_than_the_default_one() -> None:
    geometry = GEOMETRIES["crop"]
    frames = noise(geometry, 20 * WINDOW, deep=False)
    expected = in_a_row(frames, geometry, deep=False)
    with torch.cuda.stream(torch.cuda.Stream()):
        assert unequal(side_by_side(frames, geometry, deep=False, seed=5), expected) == []


class StopsAfterTwo(Watching):
    """Stops a job when two windows have been handed to the encoder, whether it has taken them or not."""

    def progress(self, done: int, total: int | None, fps: float) -> None:
        super().progress(done, total, fps)
        if len(self.done) == 3:  # the first time is before the first window
            raise Interrupted("enough")


def test_a_whole_file_stopped_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that only passes frames on, without loss at either end: the GPU gives the pictures of the CPU."""
    source = CLIPS / "bigbuckbunny.mp4"
    pictures = []
    for name in ("cpu", "cuda"):
        monkeypatch.setattr(IdentityEngine, "device", device() if name == "cuda" else torch.device("cpu"))
        folder = tmp_path / name
        folder.mkdir()
        with pytest.raises(Interrupted):
            chain(source, folder, control=StopsAfterTwo(), quality=10)
        resumed = chain(source, folder, quality=10)
        assert resumed.resumed_at == 2 * WINDOW
        pictures.append(played(resumed.result).pictures)
    assert len(pictures[0]) == len(pictures[1])
    assert all(np.array_equal(here, there) for here, there in zip(*pictures, strict=True))


def test_ordinary_memory_serves_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    geometry = GEOMETRIES["crop"]
    frames = noise(geometry, 20 * WINDOW, deep=False)
    expected = in_a_row(frames, geometry, deep=False)
    plain = torch.empty

    def empty(*arguments: object, **named: object) -> torch.Tensor:
        if named.get("pin_memory"):
            raise torch.OutOfMemoryError("CUDA error: out of memory")
        return plain(*arguments, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(torch, "empty", empty)
    assert unequal(side_by_side(frames, geometry, deep=False, seed=7), expected) == []


def test_the_bus_sees_integers_in_page_locked_memory() -> None:
    frame = noise(GEOMETRIES["crop"], 1, deep=False)[0]
    arrived = Upload(device()).send(frame).take()
    assert (arrived.dtype, arrived.device.type, tuple(arrived.shape)) == (torch.uint8, "cuda", frame.shape)
    back = Download(device()).send(arrived).wait()
    assert torch.from_numpy(back).is_pinned()
    assert np.array_equal(back, frame)


def test_the_host_is_one_step_ahead_and_no_more() -> None:
    pace, begun = Pace(device()), []
    for _ in range(4):
        torch.cuda._sleep(20_000_000)
        begun.append(torch.cuda.Event())
        begun[-1].record()
        pace.step()
        assert all(event.query() for event in begun[:-1])
    torch.cuda.synchronize()


def test_buffers_are_used_again() -> None:
    download, made = Download(device()), torch.zeros(8, 64, 64, 3, dtype=torch.uint8, device=device())
    places = {download.send(made).wait().ctypes.data for _ in range(200)}
    assert len(places) <= 8
