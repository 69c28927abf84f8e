"""`flashvsr bench speed`: table, JSON, and what it says about wrong use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from flashvsr.bench.clip import write_clip
from flashvsr.bench.pictures import MOTION, drifting
from flashvsr.cli import EX_CONFIG, EX_FAILURE
from kits.commands import called


def bench(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flashvsr", "bench", "speed", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.mark.slow
def test_it_measures_and_shows(tmp_path: Path) -> None:
    done = bench("--size", "128x128", "--frames", 45, "--weights", "nano", "--compare-exact", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for text in ("model alone", "end to end", "transformer", "share of peak", "against the plain path", "equal"):
        assert text in done.stdout
    numbers = json.loads((tmp_path / "flashvsr-bench" / "speed.json").read_text())
    assert numbers["measured"] == "speed"
    assert {"flashvsr", "torch", "cuda", "driver"} <= set(numbers["machine"]["versions"])
    assert {"device", "cores"} <= set(numbers["machine"])
    assert (numbers["model"]["name"], numbers["model"]["computed_in"]) == ("nano", "float32")
    alone = numbers["model_only"]
    assert (alone["size"], alone["windows"]) == ("128x128", 2)
    times = alone["ms_per_window"]
    assert 0 < times["least"] <= times["median"] <= times["most"]
    assert alone["frames_per_second"] == pytest.approx(16000 / (times["least"] + times["most"]), rel=1e-3)
    assert alone["memory_gib"]["host"] > 0.1
    assert {"project", "layers", "decode"} <= {name for name, stage in numbers["stages"].items() if stage["tflop"]}
    assert numbers["peaks"]["matrix_tflops"] > 0
    work = numbers["work_tflop"]
    assert sum(work.values()) - work["total"] == pytest.approx(work["total"], rel=1e-2)
    end = numbers["end_to_end"]
    assert (end["clip"], end["model_size"], end["frames"]) == ("64x64 H.264 and AAC", "128x128", 45)
    assert end["encoder"] == "libx264"
    assert end["share_of_model_only"] == pytest.approx(end["frames_per_second"] / alone["frames_per_second"], rel=1e-2)
    assert numbers["against_float32"]["latent_relative_error"] == [0.0] * 7


@pytest.mark.slow
def test_parts_can_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--size", "128x128", "--frames", 45, "--weights", "nano", "--no-end-to-end", "--output", "a/b.json"]
    done = called(capsys, "bench", "speed", *options)
    assert done.returncode == 0, done.stderr
    assert "end to end" not in done.stdout
    numbers = json.loads((tmp_path / "a" / "b.json").read_text())
    assert numbers["end_to_end"] is None
    assert numbers["against_float32"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--size", "big"], 2, "640x384"),
        (["--size", "1400x768"], 2, "1280x768 or 1408x768"),
        (["--size", "1000x700"], 2, "896x640 or 896x768 or 1024x640 or 1024x768"),
        (["--size", "100x128"], 2, "such as 128x128"),
        (["--frames", "44"], 2, "from 45 on"),
        (["--weights", "nowhere"], EX_CONFIG, "nowhere"),
        (["--output", "numbers.txt"], EX_FAILURE, ".json"),
        (["--output", "file/below.json"], EX_FAILURE, "--output"),
    ],
)
def test_wrong_use_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[object],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    done = called(capsys, "bench", "speed", *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_clip_moves_and_sounds(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", 64, 48, 10)
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        assert (clip.streams.video[0].codec.name, clip.streams.audio[0].codec.name) == ("h264", "aac")
        sound = sum(frame.samples for frame in clip.decode(audio=0))
    assert sound / 48000 == pytest.approx(10 / 25, abs=0.05)
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        assert len(list(clip.decode(video=0))) == 10


def test_each_picture_is_the_one_before_moved_on() -> None:
    first, second = drifting(64, 48, 2)
    assert np.array_equal(first[MOTION[1] :, MOTION[0] :], second[: -MOTION[1], : -MOTION[0]])
    assert first.std() > 20
