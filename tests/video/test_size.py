"""Sizes through the whole chain: exact to the pixel, upright, undistorted."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from flashvsr.errors import BadInput
from flashvsr.video.probe import probe
from kits.chain import chain, played
from kits.videos import number_of, numbered, set_matrix, write_video


def marked(width: int, height: int) -> np.ndarray:
    """Smooth, with another colour in each corner: every shift, turn or mirroring shows."""
    y, x = np.mgrid[0:height, 0:width]
    across, down = x / width, y / height
    return np.stack([60 + 130 * across, 60 + 130 * down, 60 + 60 * (across + down)], -1).astype(np.uint8)


def still(path: Path, picture: np.ndarray, pixel_format: str = "yuv444p") -> Path:
    return write_video(path, [picture] * 2, codec="ffv1", pixel_format=pixel_format)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b).max())


def enlarged(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return frame.reformat(*size, format="rgb24", interpolation="BICUBIC").to_ndarray()


@pytest.mark.slow
@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize(
    ("source", "width", "scale", "cropped", "padded"),
    [
        ((192, 144), 0, 1.0, (128, 128), (192, 144)),
        ((161, 145), 0, 2.0, (256, 256), (324, 292)),  # odd: made even first, 162x146
        ((144, 192), 0, 2.0, (256, 384), (288, 384)),  # portrait
        ((320, 180), 160, 2.0, (256, 128), (320, 180)),  # larger than width
        ((80, 60), 160, 2.0, (256, 128), (320, 240)),  # smaller than width
        ((160, 90), 0, 4.0, (640, 256), (640, 360)),
    ],
)
def test_crop_and_pad_are_exact(
    source: tuple[int, int], width: int, scale: float, cropped: tuple[int, int], padded: tuple[int, int], fit: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    picture = marked(*source)
    report = chain(still(tmp_path / "a.mkv", picture), tmp_path, width=width, scale=scale, fit=fit, quality=10)
    shown = played(report.result)
    assert shown.size == (cropped if fit == "crop" else padded)
    whole = enlarged(picture, padded)
    x, y = ((a - b) // 2 for a, b in zip(padded, shown.size, strict=True))
    assert difference(shown.pictures[0], whole[y : y + shown.size[1], x : x + shown.size[0]]) <= 5


def test_a_cut_pixel_is_the_right_one(tmp_path: Path) -> None:
    """At scale 1 nothing is resampled: the edges are cut evenly, to the pixel."""
    picture = marked(172, 140)
    picture[6:134, 22:150] = 128  # exactly what is kept
    picture[6, 22:150], picture[133, 22:150], picture[6:134, 22], picture[6:134, 149] = 230, 20, 200, 60
    shown = played(chain(still(tmp_path / "a.mkv", picture, "gray"), tmp_path, fit="crop", quality=10).result)
    assert difference(shown.pictures[0], picture[6:134, 22:150]) <= 3


@pytest.mark.slow
def test_480p_four_times(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [numbered(n, 854, 480) for n in range(2)])
    report = chain(path, tmp_path, scale=4.0, quality=5)
    assert played(report.result).size == (3416, 1920)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((1, 0, 0, 1), lambda p: p),
        ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
        ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
        ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
        ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
        ((1, 0, 0, -1), lambda p: p[::-1]),
        ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
        ((0, -1, -1, 0), lambda p: p[::-1, ::-1].transpose(1, 0, 2)),
    ],
    ids=["0", "90", "180", "270", "mirrored", "upside-down", "mirrored-270", "mirrored-90"],
)
def test_rotation_is_applied_once(matrix: tuple[int, int, int, int], turn: object, tmp_path: Path) -> None:
    """The result is upright as stored and carries no rotation that a player would apply again."""
    picture = marked(192, 144)
    path = write_video(tmp_path / "phone.mp4", [picture] * 2, options={"crf": "4"})
    set_matrix(path, matrix)
    report = chain(path, tmp_path)
    shown = played(report.result)
    expected = turn(picture)
    assert shown.size == expected.shape[1::-1]
    assert difference(shown.pictures[0], expected) <= 9
    back = probe(report.result)
    assert (back.rotation, back.mirrored) == (0, False)


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("aspect", [Fraction(16, 15), Fraction(64, 45), Fraction(8, 9)])
def test_pixels_that_are_not_square_stay_so(aspect: Fraction, container: str, tmp_path: Path) -> None:
    path = tmp_path / "dvd.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 180, 144, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for index in range(4):
            frame = av.VideoFrame.from_ndarray(marked(180, 144), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    report = chain(path, tmp_path, container=container, scale=2.0)
    back = probe(report.result)
    assert (back.width, back.height, back.sample_aspect) == (360, 288, aspect)


def test_a_turned_picture_turns_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        frame = av.VideoFrame.from_ndarray(marked(160, 96), format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        out.mux([*stream.encode(frame), *stream.encode(None)])
    set_matrix(path, (0, 1, -1, 0))
    report = chain(path, tmp_path)
    back = probe(report.result)
    assert (back.width, back.height, back.sample_aspect) == (96, 160, Fraction(3, 4))


def test_a_size_that_changes_on_the_way(tmp_path: Path) -> None:
    """The result has one size, and every frame fills it."""
    parts = [
        write_video(
            tmp_path / f"{width}.ts", [numbered(n, width, width * 3 // 4) for n in range(6)], options={"bf": "0"}
        )
        for width in (128, 256)
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    shown = played(chain(path, tmp_path).result)
    assert shown.size == (128, 96)
    assert [number_of(picture) for picture in shown.pictures] == [*range(6), *range(6)]


def test_a_result_that_no_encoder_takes_says_what_to_change(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="lower width or scale"):
        chain(still(tmp_path / "a.mkv", marked(3000, 64)), tmp_path, scale=8.0, limit="")
