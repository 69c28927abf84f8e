from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from flashvsr.errors import BadConfig
from flashvsr.video.encode import (
    EncoderSettings,
    constant_quality,
    open_encoder,
    output_format,
    working_encoders,
)
from kits.videos import clip_info, numbered


def size_and_error(codec: str, quality: int, path: Path) -> tuple[int, float]:
    """Bytes and mean squared error of eight noisy frames at a quality."""
    video_format = output_format(clip_info("bigbuckbunny.mp4"), (128, 128))
    encoder = open_encoder(EncoderSettings(codec, "software", quality, 2), video_format)
    rng = np.random.default_rng(5)
    texture = rng.integers(-30, 30, (160, 160, 1))
    frames = [
        np.clip(numbered(n).astype(int) + texture[n : n + 128, 2 * n : 2 * n + 128], 0, 255).astype(np.uint8)
        for n in range(8)
    ]
    with av.open(str(path), "w", format="matroska") as out:
        stream = encoder.add_stream(out)
        for index, rgb in enumerate(frames):
            out.mux(stream.encode(encoder.frame(rgb, index * video_format.step)))
        out.mux(stream.encode(None))
    with av.open(str(path)) as back:
        decoded = [frame.to_ndarray(format="rgb24") for frame in back.decode(video=0)]
    error = np.mean([(a.astype(float) - b) ** 2 for a, b in zip(decoded, frames, strict=True)])
    return path.stat().st_size, float(error)


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_quality_is_monotone(codec: str, tmp_path: Path) -> None:
    measured = [size_and_error(codec, quality, tmp_path / "q.mkv") for quality in (1, 4, 6, 8, 10)]
    sizes, errors = zip(*measured, strict=True)
    assert list(sizes) == sorted(set(sizes))
    assert list(errors) == sorted(errors, reverse=True)
    values = [constant_quality(codec, quality) for quality in range(1, 11)]
    assert values == sorted(set(values), reverse=True)


def test_x264_crf_follows_the_formula() -> None:
    assert [constant_quality("h264", quality) for quality in (6, 10, 1, 9)] == [20, 0, 45, 5]


@pytest.mark.parametrize(
    ("clip", "size", "matrix"),
    [("carphone_pristine.mp4", (512, 384), 6), ("carphone_pristine.mp4", (1280, 1024), 1)],
)
def test_streams_are_tagged(clip: str, size: tuple[int, int], matrix: int, tmp_path: Path) -> None:
    video_format = output_format(clip_info(clip), size)
    assert video_format.frame_rate == Fraction(30000, 1001)
    encoder = open_encoder(EncoderSettings(threads=2, encoder="software"), video_format)
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        stream = encoder.add_stream(out)
        out.mux(stream.encode(encoder.frame(np.zeros((size[1], size[0], 3), np.uint8), 0)))
        out.mux(stream.encode(None))
    with av.open(str(tmp_path / "a.mp4")) as back:
        context = back.streams.video[0].codec_context
        assert (context.pix_fmt, int(context.colorspace), int(context.color_range)) == ("yuv420p", matrix, 1)
        assert (int(context.color_primaries), int(context.color_trc)) == (matrix, matrix)
        assert back.streams.video[0].sample_aspect_ratio == Fraction(128, 117)


def test_nvenc_falls_back_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    video_format = output_format(clip_info("bigbuckbunny.mp4"), (256, 128))
    monkeypatch.setattr("flashvsr.video.encode._NVENC", {"h264": "h264_no_such_encoder"})
    fallen = open_encoder(EncoderSettings(encoder="nvenc"), video_format)
    assert fallen.name == "libx264"
    assert "encoded in software instead" in fallen.warnings[0]
    assert open_encoder(EncoderSettings(encoder="auto"), video_format).warnings == ()


def test_an_impossible_size_says_what_to_change() -> None:
    video_format = output_format(clip_info("bigbuckbunny.mp4"), (20000, 64))
    with pytest.raises(BadConfig, match="another codec"):
        open_encoder(EncoderSettings("h264", "software"), video_format)


def test_identity_tells_what_must_not_be_mixed() -> None:
    video_format = output_format(clip_info("bigbuckbunny.mp4"), (256, 128))
    one = open_encoder(EncoderSettings(quality=6, threads=2, encoder="software"), video_format)
    more_threads = open_encoder(EncoderSettings(quality=6, threads=3, encoder="software"), video_format)
    other = open_encoder(EncoderSettings(quality=7, threads=2, encoder="software"), video_format)
    assert one.identity == more_threads.identity != other.identity


def test_the_software_encoders_work_here() -> None:
    found = working_encoders()
    assert {codec: names[-1] for codec, names in found.items()} == {
        "h264": "libx264", "hevc": "libx265", "av1": "libsvtav1",
    }  # fmt: skip
