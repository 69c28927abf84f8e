"""`flashvsr bench quality`: tables, JSON, pictures, and what it says about bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from flashvsr.cli import EX_CONFIG, EX_FAILURE
from flashvsr.weights.choice import nano_folder
from kits.commands import called
from kits.paths import VALIDATION_CLIP as CLIP
from kits.videos import write_video


def bench(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flashvsr", "bench", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.mark.slow
def test_it_measures_and_shows(tmp_path: Path) -> None:
    other = tmp_path / "other" / CLIP.name
    other.parent.mkdir()
    other.symlink_to(CLIP)
    options = ["--weights", nano_folder(), "--filter", "area", "--size", "128x128", "--frames", 5]
    done = bench("quality", CLIP, other, *options, "--json", "numbers/n.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "nano - bicubic" in done.stdout
    assert "median over 2 clips" in done.stdout
    pictures = tmp_path / "flashvsr-bench"
    assert {file.name for file in pictures.iterdir()} == {"bbb_384x256_x2_area.png", "bbb_384x256_x2_area_2.png"}
    numbers = json.loads((tmp_path / "numbers" / "n.json").read_text())
    assert numbers["model"]["name"] == "nano"
    assert {"device", "cores", "threads", "versions"} <= set(numbers["machine"])
    assert [(clip["file"], clip["frames"], clip["size"]) for clip in numbers["clips"]] == [
        (CLIP.name, 5, "128x128")
    ] * 2
    gains = numbers["clips"][0]["gains"]
    assert gains["bicubic"]["psnr_y"] > 0.5
    assert numbers["median_gains"]["area"]["lanczos"]["psnr_y"] == pytest.approx(gains["lanczos"]["psnr_y"], abs=1e-3)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_everything_wrong_with_the_videos_is_said_at_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "notes.txt").write_text("no video")
    (here / "empty.mp4").touch()
    write_video(here / "small.mkv", [np.zeros((24, 24, 3), np.uint8)] * 2, codec="ffv1")
    names = ["missing.mp4", "notes.txt", "empty.mp4", "small.mkv"]
    done = called(capsys, "bench", "quality", *names, CLIP)
    assert done.returncode == EX_FAILURE
    assert all(name in done.stderr for name in names)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_a_video_of_one_frame_costs_only_itself(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(here / "one.mkv", [np.zeros((128, 128, 3), np.uint8)], codec="ffv1")
    options = ["--weights", "nano", "--filter", "bicubic", "--size", "128x128", "--frames", 2, "--out", "out"]
    done = called(capsys, "bench", "quality", "one.mkv", CLIP, *options)
    assert done.returncode == EX_FAILURE
    assert "one.mkv: one frame" in done.stderr
    assert "median over 1 clip" in done.stdout
    assert len(json.loads((here / "out" / "quality.json").read_text())["clips"]) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "MEASUREMENT"),
        (["quality"], 2, "IN"),
        (["quality", CLIP, "--size", "big"], 2, "640x384"),
        (["quality", CLIP, "--frames", "1"], 2, "from 2 on"),
        (["quality", CLIP, "--scale", "3"], 2, "scale"),
        (["quality", CLIP, "--json", CLIP.name], EX_FAILURE, ".json"),
        (["quality", CLIP, "--out", "file/below"], EX_FAILURE, "--out"),
        (["quality", CLIP, "--against", "magic"], EX_FAILURE, "pyanime4k"),
        (["quality", CLIP, "--weights", "nowhere"], EX_CONFIG, "nowhere"),
    ],
)
def test_wrong_use_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[object], code: int, message: str
) -> None:
    (here / "file").touch()
    done = called(capsys, "bench", *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("here")
@pytest.mark.skipif(find_spec("pyanime4k") is not None, reason="pyanime4k is installed")
def test_without_pyanime4k_it_says_how_to_get_it(capsys: pytest.CaptureFixture[str]) -> None:
    done = called(capsys, "bench", "quality", CLIP, "--against", "pyanime4k")
    assert done.returncode == EX_FAILURE
    assert "pip install pyanime4k" in done.stderr
