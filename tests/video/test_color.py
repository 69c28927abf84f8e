"""Colours go in and out unchanged: every matrix and range, measured on known YUV values."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from flashvsr.video.color import ColorInfo, output_color, resolve
from flashvsr.video.decode import decode
from flashvsr.video.encode import output_format
from flashvsr.video.mux import assemble
from flashvsr.video.probe import probe
from kits.videos import frames_of, make_chunks
from kits.yuv import COLOURS, LUMA, NUMBERS


def patches(width: int, height: int) -> np.ndarray:
    """Flat colours in columns above a grey ramp."""
    picture = np.zeros((height, width, 3), np.uint8)
    edges = np.linspace(0, width, len(COLOURS) + 1).astype(int) // 2 * 2
    for colour, left, right in zip(COLOURS, edges, edges[1:], strict=False):
        picture[:, left:right] = colour
    picture[height // 2 :] = np.linspace(0, 255, width).round().astype(np.uint8)[None, :, None]
    return picture


def encode_by_formula(rgb: np.ndarray, matrix: str, color_range: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Y, Cb, Cr planes of full resolution by the definition in ITU-T H.273, rounded to 8 bits."""
    red, blue = LUMA[matrix]
    r, g, b = (rgb[..., channel] / 255 for channel in range(3))
    y = red * r + (1 - red - blue) * g + blue * b
    cb, cr = (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)
    if color_range == "full":
        planes = (255 * y, 255 * cb + 128, 255 * cr + 128)
    else:
        planes = (219 * y + 16, 224 * cb + 128, 224 * cr + 128)
    first, second, third = (np.clip(plane.round(), 0, 255).astype(np.uint8) for plane in planes)
    return first, second, third


def write_yuv(path: Path, rgb: np.ndarray, matrix: str, color_range: str, tagged: bool = True) -> Path:
    """A lossless 4:2:0 video of three equal frames."""
    y, cb, cr = encode_by_formula(rgb, matrix, color_range)
    height, width = y.shape
    planes = np.concatenate([y.ravel(), cb[::2, ::2].ravel(), cr[::2, ::2].ravel()])
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if tagged:
            stream.codec_context.colorspace = NUMBERS[matrix]
            stream.codec_context.color_range = 2 if color_range == "full" else 1
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(planes.reshape(height * 3 // 2, width), format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            if tagged:
                frame.colorspace, frame.color_range = NUMBERS[matrix], 2 if color_range == "full" else 1
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def worst(picture: np.ndarray, expected: np.ndarray) -> int:
    """The largest difference away from the edges of the patches, where 4:2:0 mixes neighbours."""
    flat = np.ones(expected.shape[:2], bool)
    half = expected.shape[0] // 2
    flat[half - 8 : half + 8] = False
    edges = np.flatnonzero(np.abs(np.diff(expected[0].astype(int), axis=0)).sum(1))
    for edge in edges:
        flat[:half, max(0, edge - 8) : edge + 9] = False
    return int(np.abs(picture.astype(int) - expected.astype(int)).max(2)[flat].max())


@pytest.mark.parametrize("color_range", ["limited", "full"])
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
def test_decoding_is_exact(matrix: str, color_range: str, tmp_path: Path) -> None:
    rgb = patches(384, 96)
    info = probe(write_yuv(tmp_path / "flat.mkv", rgb, matrix, color_range))
    assert (info.color.matrix, info.color.range) == (matrix, color_range)
    assert worst(next(iter(decode(info, (384, 96)))).rgb, rgb) <= 2


@pytest.mark.parametrize(("size", "matrix"), [((720, 576), "smpte170m"), ((1280, 720), "bt709")])
def test_untagged_means_what_players_think(size: tuple[int, int], matrix: str, tmp_path: Path) -> None:
    rgb = patches(*size)
    info = probe(write_yuv(tmp_path / "flat.mkv", rgb, matrix, "limited", tagged=False))
    assert worst(next(iter(decode(info, size))).rgb, rgb) <= 2


@pytest.mark.parametrize("size", [(384, 128), (1280, 128)], ids=["sd", "hd"])
@pytest.mark.parametrize(
    ("matrix", "color_range"), [("bt709", "limited"), ("smpte170m", "full"), ("bt2020nc", "limited")]
)
def test_the_whole_chain_keeps_colours(matrix: str, color_range: str, size: tuple[int, int], tmp_path: Path) -> None:
    rgb = patches(384, 128)
    info = probe(write_yuv(tmp_path / "flat.mkv", rgb, matrix, color_range))
    result = tmp_path / "result.mp4"
    chunks, _ = make_chunks(info, size, tmp_path / "work", quality=10)
    assemble(chunks, info, result, "none", "mp4")
    back = probe(result)
    expected = "bt2020nc" if matrix == "bt2020nc" else "bt709" if size[0] >= 1280 else "smpte170m"
    assert back.color == output_format(info, size).color
    assert (back.color.matrix, back.color.range) == (expected, "limited")
    source = next(iter(decode(info, (384, 128)))).rgb
    decoded = next(iter(decode(back, (384, 128)))).rgb
    assert worst(decoded, source) <= 2
    assert frames_of(result)[0][1].shape == (size[1], size[0], 3)


@pytest.mark.parametrize(("primaries", "transfer"), [(63, 243), (0, 3), (13, 19), (-1, 1000)])
def test_tags_that_nobody_defined_are_none(primaries: int, transfer: int) -> None:
    """Damaged files hold any number; swscale stops at it, and so would players."""
    assert resolve(1, 1, "yuv420p", False, (64, 64), primaries, transfer) == ColorInfo("bt709", "limited")


def test_tags_of_the_source_are_kept_or_filled_in() -> None:
    hdr = resolve(9, 1, "yuv420p10le", False, (3840, 2160), 9, 16)
    assert output_color(hdr, 3840, 2160) == ColorInfo("bt2020nc", "limited", 9, 16)
    dvd = resolve(2, 0, "yuv420p", False, (720, 576))
    assert dvd == ColorInfo("smpte170m", "limited")
    assert output_color(dvd, 1920, 1024) == ColorInfo("bt709", "limited", 1, 1)
    assert resolve(2, 0, "yuvj420p", False, (640, 480)).range == "full"
    assert resolve(0, 0, "gbrp", True, (640, 480)).matrix == "rgb"
