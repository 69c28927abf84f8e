"""Decoding on the GPU (NVDEC) gives the frames that the CPU gives. Skipped where there is no CUDA device."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from flashvsr.video.decode import DecodeOptions, VideoFrame, decode
from flashvsr.video.probe import probe
from kits.paths import CLIPS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]


def _decoded(path: Path, hardware: str) -> tuple[list[VideoFrame], list[str]]:
    info = probe(path)
    decoder = decode(info, (info.width, info.height), DecodeOptions(hardware=hardware))
    return list(decoder), decoder.warnings


@pytest.fixture
def hevc(tmp_path: Path) -> Path:
    """Ten bits, of a size that is no multiple of a block: moving noise."""
    path, rng = tmp_path / "deep.mkv", np.random.default_rng(3)
    noise = rng.integers(0, 255, (20, 30, 3)).repeat(16, 0).repeat(16, 1).astype(np.uint8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx265", rate=25, options={"x265-params": "log-level=none", "crf": "12"})
        stream.width, stream.height, stream.pix_fmt = 322, 242, "yuv420p10le"
        for index in range(20):
            picture = np.ascontiguousarray(noise[index : index + 242, 2 * index : 2 * index + 322])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p10le")
            frame.pts = index
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["bigbuckbunny.mp4", "face_noface.mov", "carphone_pristine.mp4"])
def test_frames_are_those_of_the_cpu(name: str) -> None:
    _compare(CLIPS / name, 1)


def test_ten_bits_are_those_of_the_cpu(hevc: Path) -> None:
    assert probe(hevc).bits == 10
    _compare(hevc, 1 << 8)


def _compare(path: Path, most: int) -> None:
    """NVDEC decodes to the bit; only NV12 and P010 instead of planes may round chroma otherwise on the way to RGB.

    No warning more than the CPU's decoder gives: so the device did decode it.
    """
    (expected, before), (found, after) = _decoded(path, ""), _decoded(path, "cuda")
    assert after == before, "is libnvcuvid there (driver capability `video`)?"
    assert [(frame.index, frame.time, frame.pts) for frame in found] == [
        (frame.index, frame.time, frame.pts) for frame in expected
    ]
    for one, other in zip(expected, found, strict=True):
        assert one.rgb.dtype == other.rgb.dtype
        assert np.abs(one.rgb.astype(int) - other.rgb).max() <= most, f"frame {one.index}"
