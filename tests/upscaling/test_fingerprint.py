"""What shapes the frames decides whether finished chunks count: after a change of any of it the work begins anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flashvsr.errors import Interrupted
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset
from flashvsr.settings.processing_tables import Chunks, Preprocess
from flashvsr.upscaling import first_look
from flashvsr.video import geometry
from flashvsr.video.chunks import stored_chunks
from flashvsr.video.encode import VideoEncoder
from flashvsr.video.geometry import Geometry
from kits.chain import IdentityEngine, Watching, chain, played
from kits.videos import number_of, numbered, write_video

FRAMES, SIZE = 40, 8
SETTINGS = Config(chunks=Chunks(size=SIZE))


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """A source of which some chunks are finished; they lie in `work` beside it."""
    clip = write_video(tmp_path / "clip.mp4", [numbered(number) for number in range(FRAMES)])
    with pytest.raises(Interrupted):
        chain(clip, tmp_path, SETTINGS, Watching(stop_at=FRAMES, error=Interrupted("the service stops")))
    assert stored_chunks(tmp_path / "work")[-1].end >= SIZE
    return clip


def goes_on(clip: Path, settings: Config = SETTINGS, **options: Any) -> bool:
    """Do the rest of the work; whether the chunks that were there are in the result."""
    control = Watching()
    report = chain(clip, clip.parent, settings, control, **options)
    assert control.done[0] == report.resumed_at
    assert [number_of(picture) for picture in played(report.result).pictures] == list(range(FRAMES))
    return report.resumed_at > 0


def test_without_a_change_the_work_goes_on(interrupted: Path) -> None:
    assert goes_on(interrupted)


def test_a_picture_beside_the_result_is_no_part_of_it(interrupted: Path) -> None:
    assert goes_on(interrupted, compare=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"sparse_ratio": 1.5},
        {"local_range": 9},
        {"color_fix": "wavelet"},
        {"deinterlace": "off"},
        {"quality": 8},
        {"codec": "hevc"},
        {"scale": 2.0},
        {"fit": "crop"},
        {"seconds": 10},
    ],
    ids=str,
)
def test_another_preset(change: dict[str, Any], interrupted: Path) -> None:
    assert not goes_on(interrupted, **change)


def test_what_is_called_otherwise_goes_on(interrupted: Path) -> None:
    assert goes_on(interrupted, name="HD {stem}", companions=False)


def test_another_engine(interrupted: Path) -> None:
    class Other(IdentityEngine):
        identity = "another"

    assert not goes_on(interrupted, engine=Other())


def test_another_encoder(interrupted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VideoEncoder, "identity", property(lambda self: "another"))
    assert not goes_on(interrupted)


def test_another_geometry(interrupted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a flashvsr that plans otherwise."""
    geometry_of = geometry.plan

    def shifted(width: int, height: int, preset: Preset, *, force: bool) -> Geometry:
        return replace(geometry_of(width, height, preset, force=force), offset=(2, 0))

    monkeypatch.setattr(first_look, "geometry_of", shifted)
    assert not goes_on(interrupted)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"mode": "file"},
        {"video_codec": "libx265"},
        {"crf": 20},
        {"preset": "slow"},
        {"nvenc_cq": 30},
        {"hwaccel": "cuda"},
    ],
    ids=str,
)
def test_another_preprocessing(change: dict[str, Any], interrupted: Path) -> None:
    assert not goes_on(interrupted, replace(SETTINGS, preprocess=replace(Preprocess(), **change)))


def longer(clip: Path) -> None:
    """A box more at the end, which every reader passes over; the time stays."""
    times = clip.stat()
    clip.write_bytes(clip.read_bytes() + b"\0\0\0\x08free")
    os.utime(clip, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("change", [longer, lambda clip: os.utime(clip, ns=(1, 1))], ids=["size", "time"])
def test_another_source(change: Callable[[Path], None], interrupted: Path) -> None:
    change(interrupted)
    assert not goes_on(interrupted)
