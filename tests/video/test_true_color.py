"""Colour through the whole chain: what the encoder is given is what the source shows, to one 8-bit code value."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from flashvsr.video.encode import VideoEncoder
from flashvsr.video.probe import probe
from kits.chain import chain, played
from kits.paths import CLIPS
from kits.yuv import NUMBERS, calm, flat_and_ramp, frame_of, planes_of, subsampled, to_planes, to_rgb, write_frames

SIZE = (288, 96)
PQ, HLG, BT2020 = 16, 18, 9


@pytest.fixture
def before_encoding(monkeypatch: pytest.MonkeyPatch) -> list[av.VideoFrame]:
    """The frames that the encoder is given."""
    seen: list[av.VideoFrame] = []
    plain = VideoEncoder.frame

    def frame(self: VideoEncoder, rgb: np.ndarray, pts: int) -> av.VideoFrame:
        made = plain(self, rgb, pts)
        if rgb.shape[1] == SIZE[0] and pts >= 0 and rgb.std() > 1:  # not the trial's grey frame
            seen.append(made)
        return made

    monkeypatch.setattr(VideoEncoder, "frame", frame)
    return seen


def worst(frame: av.VideoFrame, expected: list[np.ndarray], bits: int, away: np.ndarray) -> float:
    """The largest difference in code values of 8 bits, over all planes."""
    found = planes_of(frame)
    stored = subsampled(expected, "yuv420p")
    masks = [away, away[::2, ::2], away[::2, ::2]]
    unit = 1 << (bits - 8)
    return max(
        float(np.abs(a.astype(float) - b)[mask].max()) / unit for a, b, mask in zip(found, stored, masks, strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("color_range", ["limited", "full"])
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
@pytest.mark.parametrize(
    "pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p12le", "gray", "gray10le"]
)
def test_flat_colours_and_a_ramp_come_back(
    pixel_format: str, matrix: str, color_range: str, tmp_path: Path, before_encoding: list[av.VideoFrame]
) -> None:
    """The source's own code values, moved to the result's matrix and range by the formula, are what is encoded."""
    bits = av.VideoFormat(pixel_format).components[0].bits
    picture = flat_and_ramp(*SIZE)
    if pixel_format.startswith("gray"):
        picture = picture.mean(axis=2, keepdims=True).repeat(3, axis=2)
    stored = [plane.round() for plane in to_planes(picture, matrix, color_range, bits)]
    tags = {"colorspace": NUMBERS[matrix], "color_range": 2 if color_range == "full" else 1}
    frames = [frame_of(subsampled(stored, pixel_format), pixel_format) for _ in range(2)]
    source = write_frames(tmp_path / "flat.mkv", frames, tags=tags)
    report = chain(source, tmp_path)

    out_bits, out_matrix = (8 if bits == 8 else 10), "bt2020nc" if matrix == "bt2020nc" else "smpte170m"
    shown = np.clip(to_rgb(stored, matrix, color_range, bits), 0, 1)
    expected = to_planes(shown, out_matrix, "limited", out_bits)
    assert len(before_encoding) == 2
    assert worst(before_encoding[0], expected, out_bits, calm(picture)) <= 1
    back = probe(report.result)
    assert (back.color.matrix, back.color.range, back.bits) == (out_matrix, "limited", out_bits)


@pytest.mark.parametrize(("size", "matrix"), [((720, 576), "smpte170m"), ((1280, 96), "bt709")], ids=["sd", "hd"])
def test_untagged_means_what_players_think(size: tuple[int, int], matrix: str, tmp_path: Path) -> None:
    picture = flat_and_ramp(*size)
    stored = [plane.round() for plane in to_planes(picture, matrix, "limited", 8)]
    source = write_frames(tmp_path / "flat.mkv", [frame_of(subsampled(stored, "yuv420p"), "yuv420p")])
    report = chain(source, tmp_path, quality=10)  # lossless
    with av.open(str(report.result)) as back:
        frame = next(back.decode(video=0))
        assert worst(frame, stored, 8, calm(picture)) <= 1
        assert int(frame.colorspace) == NUMBERS[matrix]


@pytest.mark.parametrize("pixel_format", ["rgb24", "bgr0", "yuva420p", "bgra"])
def test_rgb_and_transparency(pixel_format: str, tmp_path: Path, before_encoding: list[av.VideoFrame]) -> None:
    picture = flat_and_ramp(*SIZE)
    rgb = (picture * 255).round().astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    name, codec = ("flat.mov", "png") if pixel_format == "rgb24" else ("flat.mkv", "ffv1")
    source = write_frames(tmp_path / name, [frame.reformat(format=pixel_format)] * 2, codec)
    report = chain(source, tmp_path)
    expected = to_planes(rgb / 255, "smpte170m", "limited", 8)
    assert worst(before_encoding[0], expected, 8, calm(picture)) <= (1 if pixel_format != "yuva420p" else 2)
    assert any("transparency" in warning for warning in report.warnings) == (pixel_format in ("yuva420p", "bgra"))


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
@pytest.mark.parametrize("transfer", [PQ, HLG], ids=["hdr10", "hlg"])
def test_hdr_keeps_ten_bits_and_its_tags(transfer: int, codec: str, tmp_path: Path) -> None:
    """Never washed out: the code values stay, and so do the tags that say what they mean."""
    picture = flat_and_ramp(*SIZE)
    stored = [plane.round() for plane in to_planes(picture, "bt2020nc", "limited", 10)]
    tags = {"colorspace": 9, "color_range": 1, "color_primaries": BT2020, "color_trc": transfer}
    source = write_frames(tmp_path / "hdr.mkv", [frame_of(subsampled(stored, "yuv420p10le"), "yuv420p10le")] * 3,
                          tags=tags)  # fmt: skip
    report = chain(source, tmp_path, codec=codec)
    with av.open(str(report.result)) as back:
        frame = next(back.decode(video=0))
        context = back.streams.video[0].codec_context
        found = (
            int(context.colorspace),
            int(context.color_range),
            int(context.color_primaries),
            int(context.color_trc),
        )
    assert frame.format.name == "yuv420p10le"
    assert found == (9, 1, BT2020, transfer)
    assert worst(frame, stored, 10, calm(picture)) < 3  # after lossy coding
    assert any("10 bits" in warning for warning in report.warnings) == (codec == "h264")


def test_a_deep_ramp_keeps_its_steps(tmp_path: Path, before_encoding: list[av.VideoFrame]) -> None:
    """Ten bits are ten bits on the whole way: no 8-bit stage in between."""
    ramp = np.broadcast_to(np.arange(SIZE[0]) + 300.0, SIZE[::-1])  # a step of one 10-bit code a pixel
    chroma = np.full((SIZE[1] // 2, SIZE[0] // 2), 512.0)
    frames = [frame_of([ramp, chroma, chroma], "yuv420p10le")] * 2
    source = write_frames(tmp_path / "ramp.mkv", frames, tags={"colorspace": 1, "color_range": 1})
    chain(source, tmp_path, codec="hevc")
    row = planes_of(before_encoding[0])[0][10].astype(int)
    assert np.abs(row - ramp[0]).max() <= 1
    assert len(np.unique(row)) > 280


def test_eight_bits_stay_eight(tmp_path: Path) -> None:
    report = chain(CLIPS / "carphone_pristine.mp4", tmp_path, codec="hevc")
    assert played(report.result).pixel_format == "yuv420p"
