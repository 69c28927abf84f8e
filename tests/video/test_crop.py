"""Edges that the container hides are hidden in the result; transparency is left out with a word."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from flashvsr.settings.config import Config
from flashvsr.video.crop import Crop
from flashvsr.video.ebml import TO_VIDEO, added, element
from flashvsr.video.probe import probe
from kits.chain import chain, played
from kits.mp4 import box, set_in_picture
from kits.paths import CARRIED
from kits.videos import set_matrix, write_video

WIDTH, HEIGHT = 128, 96


def framed(crop: Crop) -> np.ndarray:
    """Grey, with a bright line just inside of what is shown, and black outside."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    inside = picture[crop.top : HEIGHT - crop.bottom, crop.left : WIDTH - crop.right]
    inside[:] = 255
    inside[4:-4, 4:-4] = 90
    return picture


def with_clap(path: Path, crop: Crop) -> None:
    """A clean aperture: its size, and how far its middle lies from the picture's."""
    width, height = crop.size(WIDTH, HEIGHT)
    right, down = crop.left - crop.right, crop.top - crop.bottom
    set_in_picture(path, box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, right, 2, down, 2)))


def with_pixel_crop(path: Path, crop: Crop) -> None:
    names = {b"\x54\xcc": crop.left, b"\x54\xdd": crop.right, b"\x54\xbb": crop.top, b"\x54\xaa": crop.bottom}
    path.write_bytes(added(path.read_bytes(), TO_VIDEO, b"".join(element(n, bytes([v])) for n, v in names.items())))


def cropped(path: Path, crop: Crop, **how: str) -> Path:
    write_video(path, [framed(crop)] * 3, options={"qp": "4"} if path.suffix != ".mov" else {}, **how)  # type: ignore[arg-type]
    (with_pixel_crop if path.suffix in (".mkv", ".webm") else with_clap)(path, crop)
    return path


def edges(picture: np.ndarray) -> Sequence[float]:
    """How bright the lines along the four edges are."""
    return [float(side.mean()) for side in (picture[1], picture[-2], picture[:, 1], picture[:, -2])]


@pytest.mark.parametrize(
    "crop", [Crop(8, 16, 4, 12), Crop(0, 0, 12, 12), Crop(9, 5, 7, 3)], ids=["even", "rows", "odd"]
)
@pytest.mark.parametrize(("kind", "codec", "pixels"), [
    ("mp4", "libx264", "yuv420p"), ("mov", "prores_ks", "yuv422p10le"), ("mkv", "libx264", "yuv420p"),
    ("mkv", "ffv1", "yuv420p10le"), ("webm", "libvpx-vp9", "yuv420p"),
])  # fmt: skip
def test_hidden_edges_are_taken_off(kind: str, codec: str, pixels: str, crop: Crop, tmp_path: Path) -> None:
    path = cropped(tmp_path / f"film.{kind}", crop, codec=codec, pixel_format=pixels)
    info = probe(path)
    assert info.crop == crop
    assert (info.width, info.height) == crop.size(WIDTH, HEIGHT)
    shown = played(chain(path, tmp_path).result)
    even = tuple(2 * ((side + 1) // 2) for side in crop.size(WIDTH, HEIGHT))
    assert shown.size == even
    assert min(edges(shown.pictures[0])) > 220
    middle = shown.pictures[0][12:-12, 12:-12]
    assert abs(float(middle.mean()) - 90) < 3
    assert float(middle.std()) < 3


def test_the_crop_is_of_the_stored_picture_before_it_is_turned(tmp_path: Path) -> None:
    crop = Crop(8, 16, 4, 12)
    path = cropped(tmp_path / "film.mp4", crop)
    set_matrix(path, (0, 1, -1, 0))
    assert (probe(path).width, probe(path).height) == crop.size(WIDTH, HEIGHT)[::-1]
    assert min(edges(played(chain(path, tmp_path).result).pictures[0])) > 220


def test_a_crop_that_leaves_nothing_takes_nothing_off() -> None:
    """Frames may become smaller on the way."""
    crop, pixels = Crop(60, 60, 0, 0), av.VideoFormat("yuv420p")
    assert [name for name, _ in crop.filters(128, 96, pixels)] == ["crop"]
    assert crop.filters(120, 96, pixels) == []
    assert not Crop()


def test_a_clip_of_somebody_s(tmp_path: Path) -> None:
    report = chain(Path(shutil.copy(CARRIED / "clap.mp4", tmp_path)), tmp_path)
    assert played(report.result).size == (128, 72)


@pytest.mark.parametrize("mode", ["file", "stream"])
def test_the_crop_is_taken_off_once(mode: str, tmp_path: Path) -> None:
    config = Config()
    config = replace(config, preprocess=replace(config.preprocess, mode=mode))
    report = chain(cropped(tmp_path / "film.mkv", Crop(8, 16, 4, 12)), tmp_path, config)
    assert played(report.result).size == (104, 80)


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("codec", ["vp9", "vp8"])
def test_transparency_beside_the_picture_is_named(codec: str, container: str, tmp_path: Path) -> None:
    path = Path(shutil.copy(CARRIED / "alpha_vp9.webm", tmp_path))
    if codec == "vp8":
        path = tmp_path / "alpha.webm"
        with av.open(str(path), "w") as out:
            stream = out.add_stream("libvpx", rate=25)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            stream.metadata["alpha_mode"] = "1"
            frame = av.VideoFrame.from_ndarray(framed(Crop()), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = 0, Fraction(1, 25)
            out.mux([*stream.encode(frame), *stream.encode(None)])
    report = chain(path, tmp_path, container=container)
    assert "the source's transparency is left out: the result has none" in report.warnings
