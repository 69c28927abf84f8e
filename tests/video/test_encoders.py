"""The encoders through the whole chain: quality that means something, threads that leave room, ten bits."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from flashvsr.upscaling.budgets import encoder_threads
from flashvsr.video.encode import EncoderSettings, open_encoder, output_format
from kits.chain import chain
from kits.paths import python_environment
from kits.videos import clip_info


def textured(count: int) -> list[np.ndarray]:
    """Moving detail of every size: each step of quality has something to keep."""
    rng = np.random.default_rng(5)
    texture = sum(
        rng.normal(size=(160 // size, 160 // size)).repeat(size, 0).repeat(size, 1) * 8 * size**0.7
        for size in (1, 2, 4, 8, 16, 32)
    )
    return [
        np.clip(128 + texture[n : n + 128, 2 * n : 2 * n + 128, None].repeat(3, 2), 0, 255).astype(np.uint8)
        for n in range(count)
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's encoders may take real-time priority")
def test_svt_av1_does_not_take_the_processor_from_all_others(tmp_path: Path) -> None:
    video_format = output_format(clip_info("bigbuckbunny.mp4"), (128, 128))
    encoder = open_encoder(EncoderSettings("av1", "software", 6, 1), video_format)  # tries it
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = encoder.add_stream(out)
        out.mux(stream.encode(encoder.frame(textured(1)[0], 0)))
        threads = [int(task.name) for task in Path("/proc/self/task").iterdir()]
        assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}
        out.mux(stream.encode(None))


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_every_step_of_quality_is_larger_and_better(codec: str, tmp_path: Path) -> None:
    video_format = output_format(clip_info("bigbuckbunny.mp4"), (128, 128))
    frames, sizes, psnrs = textured(5), [], []
    for quality in range(1, 11):
        encoder = open_encoder(EncoderSettings(codec, "software", quality, 2), video_format)
        path = tmp_path / "q.mkv"
        given = [encoder.frame(rgb, index * video_format.step) for index, rgb in enumerate(frames)]
        with av.open(str(path), "w") as out:
            stream = encoder.add_stream(out)
            for frame in given:
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        with av.open(str(path)) as back:
            decoded = [frame.to_ndarray()[:128] for frame in back.decode(video=0)]
            sizes.append(sum(packet.size for packet in av.open(str(path)).demux(video=0)))
        luma = [frame.to_ndarray()[:128].astype(float) for frame in given]
        error = np.mean([(a - b) ** 2 for a, b in zip(luma, decoded, strict=True)])
        psnrs.append(10 * np.log10(255**2 / max(error, 1e-3)))
    assert all(b > a for a, b in pairwise(sizes)), sizes
    assert all(b > a for a, b in pairwise(psnrs)), psnrs
    assert psnrs[5] > 33  # the default


@pytest.mark.parametrize(
    ("cores", "workers", "threads"),
    [(2, 1, 1), (16, 1, 12), (16, 8, 1), (128, 8, 12), (64, 8, 6), (64, 1, 16), (1, 4, 1)],
)
def test_workers_share_the_cores(cores: int, workers: int, threads: int) -> None:
    assert encoder_threads(cores, workers) == threads


COUNT_THREADS = """
import os, sys, av
from kits.videos import clip_info, numbered
from flashvsr.video.encode import EncoderSettings, open_encoder, output_format
codec, threads = sys.argv[1], int(sys.argv[2])
video_format = output_format(clip_info("bigbuckbunny.mp4"), (320, 192))
encoder = open_encoder(EncoderSettings(codec, "software", 6, threads), video_format)
before = len(os.listdir("/proc/self/task"))
with av.open(os.devnull, "w", format="matroska") as out:
    stream = encoder.add_stream(out)
    for index in range(4):
        out.mux(stream.encode(encoder.frame(numbered(index, 320, 192), index * video_format.step)))
    print(len(os.listdir("/proc/self/task")) - before)
    out.mux(stream.encode(None))
"""


def encode_with(codec: str, threads: int) -> tuple[int, str]:
    """Threads that an encoder starts, and what it says about itself."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT_THREADS, codec, str(threads)],
        env={**python_environment(), "SVT_LOG": "4"}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return int(done.stdout.splitlines()[-1]), done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("codec", "most"), [("h264", 6), ("hevc", 8), ("av1", 60)])
def test_an_encoder_keeps_to_its_threads(codec: str, most: int) -> None:
    """Those of x264 and x265 are what was asked for and a few that wait; SVT-AV1 splits its steps into many."""
    one, two = (encode_with(codec, threads)[0] for threads in (1, 2))
    assert one < two <= most


@pytest.mark.slow
def test_svt_av1_is_told_how_much_to_do_at_once() -> None:
    """It counts in levels: 1 is one core's worth, 2 two or three, 3 up to seven. Left alone it takes the machine."""
    said = {threads: encode_with("av1", threads) for threads in (1, 2, 4, 8)}
    levels = {threads: int(text.split("Level of Parallelism:")[1].split()[0]) for threads, (_, text) in said.items()}
    assert levels == {1: 1, 2: 2, 4: 3, 8: 4}
    counts = [count for count, _ in said.values()]
    assert counts == sorted(set(counts))
    assert counts[0] <= 20


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
@pytest.mark.parametrize("deep", [False, True], ids=["8-bit", "10-bit"])
def test_the_result_starts_with_its_index(codec: str, deep: bool, tmp_path: Path) -> None:
    source, pixels = tmp_path / "film.mkv", "yuv420p10le" if deep else "yuv420p"
    with av.open(str(source), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 128, pixels
        for index, picture in enumerate(textured(4)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    result = chain(source, tmp_path, codec=codec).result
    data = result.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(result)) as back:
        assert next(back.decode(video=0)).format.name == pixels


@pytest.mark.parametrize("deep", [False, True], ids=["8-bit", "10-bit"])
def test_nvenc_falls_back_where_there_is_none(deep: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flashvsr.video.encode._NVENC", {"hevc": "hevc_no_such_encoder"})
    picture = np.full((128, 128, 3), 90, np.uint8)
    source = tmp_path / "film.mkv"
    with av.open(str(source), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 128, "yuv420p10le" if deep else "yuv420p"
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=stream.pix_fmt)
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        out.mux([*stream.encode(frame), *stream.encode(None)])
    report = chain(source, tmp_path, codec="hevc", encoder="nvenc")
    assert report.encoder == "libx265"
    assert any("encoded in software instead" in warning for warning in report.warnings)


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there may be NVENC here")
@pytest.mark.parametrize(("codec", "name"), [("h264", "libx264"), ("hevc", "libx265"), ("av1", "libsvtav1")])
def test_the_real_nvenc_says_why_it_does_not_work(codec: str, name: str) -> None:
    video_format = output_format(clip_info("bigbuckbunny.mp4"), (320, 192))
    chosen = open_encoder(EncoderSettings(codec, "nvenc", threads=1), video_format)
    assert chosen.name == name
    assert any(
        f"{codec}_nvenc does not work here (" in warning and "encoded in software instead" in warning
        for warning in chosen.warnings
    )
    assert open_encoder(EncoderSettings(codec, "auto", threads=1), video_format).warnings == ()
