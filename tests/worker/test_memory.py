"""Too little memory on the GPU: the engine does with less, step by step, and the job is finished all the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from inspect import signature
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from chain_kit import SAME, IdentityEngine, IdentityStream, Watching, played
from torch import Tensor

from flashvsr.bench.clip import write_clip
from flashvsr.config import Chunks, Config
from flashvsr.model.fused.stream import FusedStream
from flashvsr.model.stream import StreamOptions
from flashvsr.worker.engine import STRIPS, Engine, Thrift
from flashvsr.worker.upscale import Task, upscale_file

STEPS = ["first saving", "second saving", "third saving"]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """60 frames."""
    path = tmp_path / "clip.mp4"
    write_clip(path, 128, 128, 60)
    return path


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
    task = Task(source, folder / "out" / "clip.mp4", replace(SAME), folder / "work", 1)
    return upscale_file(task, engine, Config(chunks=Chunks(size=16)), Watching())


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


def engine_on(device: str, *, fused: bool) -> Engine:
    model: Any = SimpleNamespace(device=torch.device(device))
    kernels: Any = object() if fused else None
    return Engine(model, "name", "label", kernels)


def test_what_the_fused_kernels_can_save() -> None:
    engine = engine_on("cuda:0", fused=True)
    said = [str(engine.save_memory()) for _ in range(3)]
    assert "host memory" in said[0]
    assert "half as many frames" in said[1]
    assert said[2] == f"and it decodes the picture in {STRIPS} strips"
    assert engine.thrift == Thrift(offload_cache=True, small_batches=True, strips=STRIPS)
    assert engine.save_memory() is None


def test_what_the_plain_modules_can_save() -> None:
    engine = engine_on("cuda:0", fused=False)
    assert "host memory" in str(engine.save_memory())
    assert engine.thrift == Thrift(offload_cache=True)
    assert engine.save_memory() is None


def test_a_stream_is_told_what_to_save(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}

    def stream(*given: Any, **named: Any) -> None:
        told.update(signature(FusedStream.__init__).bind(None, *given, **named).arguments)

    monkeypatch.setattr("flashvsr.model.fused.stream.FusedStream", stream)
    engine = engine_on("cuda:0", fused=True)
    engine.thrift = Thrift(offload_cache=True, small_batches=True, strips=3)
    engine.stream((128, 256), StreamOptions(), 0)
    assert {name: told[name] for name in ("offload_cache", "small_batches", "strips")} == {
        "offload_cache": True,
        "small_batches": True,
        "strips": 3,
    }


def test_an_engine_that_saves_already_takes_the_next_step() -> None:
    engine = engine_on("cuda:0", fused=True)
    engine.thrift = Thrift(offload_cache=True)
    assert "decoder" in str(engine.save_memory())


def test_on_the_cpu_there_is_nothing_to_save() -> None:
    assert engine_on("cpu", fused=False).save_memory() is None
