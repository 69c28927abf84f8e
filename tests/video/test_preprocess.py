"""Preprocessing: `stream` without a temporary file, `file` with one that is gone in every ending."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from flashvsr.errors import Interrupted
from flashvsr.files.space import bytes_at_crf
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Chunks, Preprocess
from flashvsr.video.encode import VideoEncoder
from flashvsr.video.probe import probe
from kits.chain import Watching, chain, played
from kits.paths import CLIPS, python_environment
from kits.videos import lag_ms, number_of, numbered, sound_of, tone, write_video

FILE = Config(preprocess=Preprocess(mode="file"))


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "work").glob("normalised-*"))


def film(path: Path, frames: int = 30) -> Path:
    return write_video(
        path, [numbered(n, 160, 96) for n in range(frames)], Fraction(24000, 1001), audio=tone(frames / 24)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "codec"),  # the source's, and that of the file, which is made from decoded frames
    [("mp4", "libx264"), ("mp4", "libx265"), ("mkv", "libx265"), ("ts", "libx264"), ("m2ts", "libx264"),
     ("mts", "libx264")],
)  # fmt: skip
def test_file_mode_gives_the_same_frames_times_and_sound(suffix: str, codec: str, tmp_path: Path) -> None:
    path = film(tmp_path / f"film.{suffix}")
    how = Config(preprocess=Preprocess(mode="file", video_codec=codec, preset="ultrafast", crf=10))
    report = chain(path, tmp_path, how)
    shown = played(report.result)
    assert [number_of(picture) for picture in shown.pictures] == list(range(30))
    (tmp_path / "stream").mkdir()
    plain = played(chain(path, tmp_path / "stream").result)
    assert shown.times == plain.times
    assert np.abs(shown.pictures[7].astype(int) - plain.pictures[7]).mean() < 3
    lag, likeness = lag_ms(sound_of(path, probe(path).start, 1.2), sound_of(report.result, Fraction(0), 1.2))
    assert abs(lag) < 2
    assert likeness > 0.9
    assert leftovers(tmp_path) == []


def test_file_mode_keeps_a_variable_rate_and_the_shape(tmp_path: Path) -> None:
    ticks = [0, 40, 90, 91, 200, 333, 400]
    path = write_video(tmp_path / "phone.mp4", [numbered(n) for n in range(7)], 30, times=ticks,
                       time_base=Fraction(1, 1000))  # fmt: skip
    report = chain(path, tmp_path, FILE, width=256, fit="crop")
    assert played(report.result).times == [Fraction(t, 1000) for t in ticks]
    assert played(report.result).size == (256, 256)


def test_the_settings_reach_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A coarse file gives a coarse result; and it is yuv420p of the size the model is fed."""
    monkeypatch.setattr("flashvsr.upscaling.file.remove_others", lambda *_: None)
    rng = np.random.default_rng(1)
    path = write_video(tmp_path / "a.mkv", [rng.integers(0, 255, (96, 160, 3), np.uint8)] * 3, codec="ffv1",
                       pixel_format="yuv444p")  # fmt: skip
    sizes = {}
    for crf in (10, 45):
        folder = tmp_path / str(crf)
        folder.mkdir()
        chain(path, folder, Config(preprocess=Preprocess(mode="file", crf=crf)), width=128)
        (made,) = (folder / "work").glob("normalised-*.mp4")
        info = probe(made)
        assert (info.width, info.height, info.pixel_format, info.codec) == (128, 76, "yuv420p", "h264")
        sizes[crf] = made.stat().st_size
    assert sizes[10] > 2 * sizes[45]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"video_codec": "libx264", "preset": "fast", "crf": 17}, {"preset": "fast", "crf": "17"}),
        ({"video_codec": "libx265", "preset": "slow", "crf": 30}, {"preset": "slow", "crf": "30"}),
        (
            {"video_codec": "h264_nvenc", "nvenc_preset": "p3", "nvenc_rc": "vbr_hq", "nvenc_cq": 25},
            {"preset": "p3", "rc": "vbr", "tune": "hq", "multipass": "fullres", "cq": "25"},
        ),
        (
            {"video_codec": "hevc_nvenc", "nvenc_rc": "constqp", "nvenc_cq": 18},
            {"preset": "p5", "rc": "constqp", "qp": "18"},
        ),
    ],
    ids=["x264", "x265", "nvenc", "nvenc-constqp"],
)
def test_each_setting_reaches_its_encoder(
    settings: dict[str, Any], expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[str, dict[str, str]]] = []

    def problem_of(encoder: VideoEncoder) -> str | None:
        tried.append((encoder.name, encoder._options))
        return "it is not tried here" if "nvenc" in encoder.name else None

    monkeypatch.setattr("flashvsr.video.normalise.problem_of", problem_of)
    chain(film(tmp_path / "a.mp4", 3), tmp_path, Config(preprocess=Preprocess(mode="file", **settings)))
    name, options = tried[0]
    assert name == settings["video_codec"]
    assert {key: options[key] for key in expected} == expected


def test_nvenc_falls_back_with_a_warning(tmp_path: Path) -> None:
    how = Config(preprocess=Preprocess(mode="file", video_codec="h264_nvenc"))
    if "h264_nvenc" in av.codecs_available and Path("/dev/nvidia0").exists():
        pytest.skip("there may be NVENC here")
    report = chain(film(tmp_path / "a.mp4", 3), tmp_path, how)
    assert any("h264_nvenc does not work here" in warning for warning in report.warnings)


@pytest.mark.parametrize("mode", ["stream", "file"])
def test_hardware_decoding_falls_back_with_a_warning(mode: str, tmp_path: Path) -> None:
    if Path("/dev/nvidia0").exists():
        pytest.skip("there is a GPU here")
    how = Config(preprocess=Preprocess(mode=mode, hwaccel="cuda"))
    report = chain(film(tmp_path / "a.mp4", 5), tmp_path, how)
    assert report.frames == 5
    (said,) = (warning for warning in report.warnings if "hardware decoding" in warning)
    assert "hardware decoding (cuda) is not available here" in said


@pytest.mark.parametrize("mode", ["stream", "file"])
def test_a_codec_that_no_gpu_decodes_is_decoded_on_the_cpu_with_a_warning(mode: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", [numbered(n, 160, 96) for n in range(5)], codec="ffv1")
    report = chain(path, tmp_path, Config(preprocess=Preprocess(mode=mode, hwaccel="cuda")))
    assert [number_of(picture) for picture in played(report.result).pictures] == list(range(5))
    said = [warning for warning in report.warnings if "hardware decoding" in warning]
    assert said == ["hardware decoding (cuda) does not take this video (ffv1, yuv420p); decoded on the CPU instead"]


def test_more_than_eight_bits_are_reported(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", [numbered(3)] * 2, codec="ffv1", pixel_format="yuv420p10le")
    report = chain(path, tmp_path, FILE)
    assert any("10 bits" in warning for warning in report.warnings)
    assert played(report.result).pixel_format == "yuv420p"


def test_an_interrupted_job_goes_on_with_the_file_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.mp4", 40)
    how = replace(FILE, chunks=Chunks(size=8))
    with pytest.raises(Interrupted):
        chain(path, tmp_path, how, Watching(16, Interrupted("stop")))
    assert [Path(name).suffix for name in leftovers(tmp_path)] == [".digest", ".mp4"]

    def write(*_: object) -> list[str]:
        raise AssertionError("the file is there")

    monkeypatch.setattr("flashvsr.video.normalise._write", write)
    report = chain(path, tmp_path, how)
    assert report.resumed_at > 0
    assert [number_of(picture) for picture in played(report.result).pictures] == list(range(40))
    assert leftovers(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".digest"])
def test_a_file_that_the_disk_changed_is_made_again(suffix: str, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 40)
    with pytest.raises(Interrupted):
        chain(path, tmp_path, FILE, Watching(16, Interrupted("stop")))
    (made,) = (tmp_path / "work").glob(f"normalised-*{suffix}")
    data = bytearray(made.read_bytes())
    data[len(data) // 2] ^= 255
    made.write_bytes(data)
    report = chain(path, tmp_path, FILE)
    assert [number_of(picture) for picture in played(report.result).pictures] == list(range(40))
    assert report.warnings == chain(path, tmp_path, FILE).warnings, "nothing of it was damaged"


def test_the_file_needs_room_until_it_is_there(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 40)
    first, again = Watching(16, Interrupted("stop")), Watching()
    with pytest.raises(Interrupted):
        chain(path, tmp_path, FILE, first)
    whole = bytes_at_crf(160, 96, 40, 23)
    assert first.needs[2] == (tmp_path / "work", whole)
    (made,) = (tmp_path / "work").glob("normalised-*.mp4")
    size = made.stat().st_size
    chain(path, tmp_path, FILE, again)
    assert again.needs[2] == (tmp_path / "work", max(0, whole - size))


def test_another_mode_takes_the_file_away(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 40)
    with pytest.raises(Interrupted):
        chain(path, tmp_path, FILE, Watching(16, Interrupted("stop")))
    assert leftovers(tmp_path)
    chain(path, tmp_path)
    assert leftovers(tmp_path) == []


PROGRAM = """
import sys
from pathlib import Path
from kits.chain import chain
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Preprocess
how = Config(preprocess=Preprocess(mode="file"))
print(chain(Path(sys.argv[1]), Path(sys.argv[2]), how, width=128).frames)
"""


@pytest.mark.slow
def test_kill_9_while_the_file_is_written_leaves_nothing_for_good(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    path.write_bytes((CLIPS / "movie-hello.mp4").read_bytes())
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(path), str(tmp_path)], env=python_environment())
    try:
        deadline = time.monotonic() + 60
        while not leftovers(tmp_path) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.002)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert leftovers(tmp_path)
    report = chain(path, tmp_path, FILE, width=128)
    assert report.frames == 36
    assert leftovers(tmp_path) == []
