"""Each limit on sources: what is exactly at it is taken, what is one above it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashvsr.errors import BadInput
from flashvsr.video.decode import decode
from flashvsr.video.limits import Limits, check_file, check_frames
from flashvsr.video.probe import SourceInfo, probe
from kits.videos import numbered, write_video

FRAMES = 10


def film(path: Path, width: int = 128, height: int = 64, frames: int = FRAMES) -> Path:
    return write_video(path, [numbered(n, width, height) for n in range(frames)], options={"bf": "0"})


def frames_of(info: SourceInfo) -> int:
    return sum(1 for _ in decode(info, (32, 32)))


def test_bytes(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    size = path.stat().st_size
    for allowed in (0, size, size + 1):
        check_file(path, Limits(file_bytes=allowed))
        assert probe(path, Limits(file_bytes=allowed)).frame_count == FRAMES
    for look in (check_file, probe):
        with pytest.raises(BadInput, match=f"has {size} bytes, more than the {size - 1} that limits.file_bytes allows"):
            look(path, Limits(file_bytes=size - 1))


@pytest.mark.parametrize(("count", "allowed"), [(0, 1), (1, 1), (9, 10), (10, 10), (0, 0), (10**9, 0)])
def test_as_many_frames_as_are_allowed(count: int, allowed: int) -> None:
    check_frames(count, Path("a.mp4"), Limits(frames=allowed))


@pytest.mark.parametrize(("count", "allowed"), [(2, 1), (11, 10), (10**9, 10**9 - 1)])
def test_one_frame_more_than_is_allowed(count: int, allowed: int) -> None:
    with pytest.raises(BadInput, match=f"{count} frames, more than the {allowed} that limits.frames allows"):
        check_frames(count, Path("a.mp4"), Limits(frames=allowed))


def test_frames_that_the_container_tells(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    info = probe(path, Limits(frames=FRAMES))
    assert frames_of(info) == FRAMES
    with pytest.raises(BadInput, match="10 frames, more than the 9"):
        probe(path, Limits(frames=FRAMES - 1))


def test_frames_that_only_decoding_tells(tmp_path: Path) -> None:
    """The file grows after it was looked at, or its container lied."""
    short, longer = film(tmp_path / "a.ts", frames=FRAMES - 1), film(tmp_path / "b.ts")
    for allowed, passes in ((FRAMES, True), (FRAMES - 1, False)):
        path = tmp_path / f"{allowed}.ts"
        path.write_bytes(short.read_bytes())
        info = probe(path, Limits(frames=allowed))
        path.write_bytes(longer.read_bytes())
        if passes:
            assert frames_of(info) == FRAMES
        else:
            with pytest.raises(BadInput, match="10 frames, more than the 9"):
                frames_of(info)


@pytest.mark.parametrize("size", [(128, 64), (64, 128), (128, 128)], ids=["wide", "high", "square"])
def test_either_side(size: tuple[int, int], tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", *size)
    info = probe(path, Limits(side=128))
    assert (info.width, info.height) == size
    assert frames_of(info) == FRAMES
    with pytest.raises(BadInput, match=r"pictures of .*, more than the 127 pixels a side that limits\.side allows"):
        probe(path, Limits(side=127))


@pytest.mark.parametrize("side", [16, 96, 130, 160, 200])
def test_a_square_of_any_side(side: int, tmp_path: Path) -> None:
    """FFmpeg counts more pixels than there are, where rows are not of whole blocks."""
    assert frames_of(probe(film(tmp_path / "a.mp4", side, side), Limits(side=side))) == FRAMES


@pytest.mark.parametrize(
    ("size", "passes"),
    [((160, 160), True), ((162, 160), False), ((160, 162), False), ((256, 64), False), ((512, 512), False)],
)
def test_a_picture_that_grows_on_the_way(size: tuple[int, int], passes: bool, tmp_path: Path) -> None:
    parts = [film(tmp_path / "a.ts", 128, 96), film(tmp_path / "b.ts", *size)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    if passes:
        assert frames_of(probe(path, Limits(side=160))) == 2 * FRAMES
    else:
        with pytest.raises(BadInput, match="more than the 160 pixels a side"):
            frames_of(probe(path, Limits(side=160)))
