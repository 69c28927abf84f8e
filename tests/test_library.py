"""The library: `from flashvsr import upscale`."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import flashvsr
from flashvsr import Preset, Report, Upscaler, upscale
from flashvsr.errors import BadConfig, BadInput, Cancelled, FlashVSRError, Transient
from flashvsr.files.trees import Trees
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Chunks, SourceLimits
from flashvsr.upscaling import entry
from flashvsr.upscaling.prober import prober_for
from flashvsr.video import encode
from kits.chain import IdentityEngine, played
from kits.videos import numbered, tone, write_video

FRAMES = 100  # more than may wait for the encoder
SAME: dict[str, Any] = {"width": 0, "scale": 1.0, "fit": "pad", "encoder": "software"}
CONFIG = Config(chunks=Chunks(size=8, min_frames=1))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_video(tmp_path / "in.mov", [numbered(n) for n in range(FRAMES)], audio=tone(FRAMES / 25))


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """The real thing with an engine that only passes on; each loading is noted."""
    made: list[Config] = []
    real = entry.load()

    def load_engine(config: Config, _on_message: object) -> IdentityEngine:
        made.append(config)
        return IdentityEngine()

    monkeypatch.setattr(entry, "load", lambda: replace(real, load_engine=load_engine))
    return made


@pytest.mark.slow
def test_the_documented_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the model that comes with the package, as on any machine without a GPU."""
    write_video(tmp_path / "in.mov", [numbered(n, 128, 64) for n in range(12)])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    example = doctest.DocTestParser().get_doctest(inspect.getdoc(upscale) or "", {}, "upscale", None, None)
    assert len(example.examples) == 5
    told: list[str] = []
    found = doctest.DocTestRunner().run(example, out=told.append)
    assert found.failed == 0, "".join(told)
    assert len(played(tmp_path / "out.mp4").pictures) == 12
    assert "\r12 of 12 frames, " in capsys.readouterr().err


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, flashvsr; few = set(sys.modules); from flashvsr import Preset, Report, Upscaler, upscale; "
        "print('torch' in few or 'flashvsr.settings' in few, {'torch', 'av', 'numpy', 'triton'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False set()\n", "")


def test_what_it_offers() -> None:
    assert set(flashvsr.__all__) <= set(dir(flashvsr))
    assert callable(flashvsr.upscale)
    assert importlib.util.find_spec("flashvsr.upscale") is None, "a module would take the function's place"
    assert Preset().scale == 2
    assert {"result", "warnings", "frames"} <= set(Report.__dataclass_fields__)
    with pytest.raises(AttributeError, match="no attribute 'upscales'"):
        flashvsr.upscales  # noqa: B018


def test_a_file_becomes_a_file(source: Path, tmp_path: Path, loads: list[Config]) -> None:
    told: list[tuple[int, int | None, float]] = []
    said: list[str] = []
    report = upscale(
        str(source), tmp_path / "out.mkv", config=CONFIG, on_progress=lambda *facts: told.append(facts),
        on_message=said.append, quality=9, **SAME,
    )  # fmt: skip
    assert report.result == tmp_path / "out.mkv"
    assert (report.preset.quality, report.preset.container) == (9, "mkv")
    assert len(played(report.result).pictures) == report.frames == FRAMES
    assert report.audio_tracks == 1
    assert told[0][:2] == (0, FRAMES)
    assert told[-1][:2] == (FRAMES, FRAMES)
    assert said == ["model identity on identity"]
    assert loads == [CONFIG]


def test_a_directory_gets_a_file_of_the_sources_name(source: Path, tmp_path: Path, loads: list[Config]) -> None:
    (tmp_path / "out").mkdir()
    assert upscale(source, tmp_path / "out", container="mkv", **SAME).result == tmp_path / "out" / "in.mkv"


@pytest.mark.slow
def test_one_model_serves_many_files(source: Path, tmp_path: Path, loads: list[Config]) -> None:
    upscaler = Upscaler(CONFIG)
    upscaler.check(source, tmp_path / "0.mp4", **SAME)
    assert loads == []
    for number in range(3):
        assert upscaler.upscale(source, tmp_path / f"{number}.mp4", **SAME).frames == FRAMES
    assert loads == [CONFIG]


@pytest.mark.slow
def test_presets_and_options(source: Path, tmp_path: Path, loads: list[Config]) -> None:
    (tmp_path / "preset.toml").write_text("quality = 3\nseed = 5\n")
    link = tmp_path / "link.toml"
    link.symlink_to("preset.toml")
    by_path = upscale(source, tmp_path / "1.mp4", preset=str(link), **SAME).preset
    by_value = upscale(source, tmp_path / "2.mp4", preset=Preset(seed=6), **SAME, quality=2).preset
    assert (by_path.quality, by_path.seed, by_path.width) == (3, 5, 0)
    assert (by_value.quality, by_value.seed, by_value.width) == (2, 6, 0)


@pytest.mark.slow
def test_only_the_config_that_is_given_counts(
    source: Path, tmp_path: Path, loads: list[Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "flashvsr.toml"
    file.write_text("[export]\nquality = 4\n")
    monkeypatch.setattr("flashvsr.settings.config.DEFAULT_CONFIG_PATH", file)
    monkeypatch.setenv("FLASHVSR_CONFIG", str(file))
    assert upscale(source, tmp_path / "1.mp4", **SAME).preset.quality == Preset().quality
    assert upscale(source, tmp_path / "2.mp4", config=str(file), **SAME).preset.quality == 4
    monkeypatch.setenv("FLASHVSR_MODEL_WEIGHTS", "elsewhere")
    monkeypatch.delenv("FLASHVSR_CONFIG")
    Upscaler(file).load()
    assert loads[-1].model.weights == Config().model.weights


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "kind", "words"),
    [
        ("in.mov", {"widht": 640}, BadConfig, "the options of upscale: widht: unknown key.*width"),
        ("in.mov", {"width": "wide", "scale": 99}, BadConfig, '(?s)2 problems.*width = "wide".*scale = 99'),
        ("in.mov", {"preset": "none.toml"}, BadConfig, "none.toml: there is no such file"),
        ("in.mov", {"config": "none.toml"}, BadConfig, "none.toml: there is no such file"),
        ("none.mov", {}, BadInput, "none.mov is no file; give the path of a video"),
        ("n" * 300, {}, FlashVSRError, "File name too long"),
        ("in.mov", {"target": "out.avi"}, FlashVSRError, "out.avi: the result is an .mp4 or .mkv file"),
        ("in.mov", {"target": "in.mp4"}, FlashVSRError, "in.mp4 exists and is not overwritten"),
        ("in.mov", {"target": "no/out.mp4"}, FlashVSRError, "no is no directory; create it first"),
    ],
)
def test_what_is_wrong_is_said_before_the_model_is_loaded(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loads: list[Config], name: str,
    options: dict[str, Any], kind: type[Exception], words: str,
) -> None:  # fmt: skip
    (tmp_path / "in.mp4").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=words):
        upscale(name, **{"target": "out.mp4", **options})
    assert loads == []
    assert {path.name for path in tmp_path.iterdir()} == {"in.mov", "in.mp4"}


def only_sound(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))


REFUSALS: dict[str, tuple[Callable[[Path], object], SourceLimits, type[Exception], str]] = {
    "text": (lambda path: path.write_text("not a video"), SourceLimits(), BadInput, "is not a video file"),
    "sound": (only_sound, SourceLimits(), BadInput, "has no picture .only sound in it."),
    "bytes": (lambda _: None, SourceLimits(file_bytes=1000), BadInput, "limits.file_bytes"),
    "picture": (lambda _: None, SourceLimits(side=64), BadInput, "limits.side"),
    "frames": (lambda _: None, SourceLimits(frames=50), BadInput, "limits.frames"),
    "encoder": (lambda _: None, SourceLimits(), BadConfig, "libx264 cannot encode 128x128 .broken.; set another codec"),
}


@pytest.mark.parametrize("command", [False, True])
@pytest.mark.parametrize("why", REFUSALS)
def test_what_needs_no_model_to_be_refused_waits_for_none(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loads: list[Config], why: str, command: bool
) -> None:
    make, limits, kind, words = REFUSALS[why]
    make(source)
    if why == "encoder":
        monkeypatch.setattr(encode, "problem_of", lambda _: "broken")
    upscaler = Upscaler(Config(limits=limits))
    with pytest.raises(kind, match=words):
        (upscaler.check if command else upscaler.upscale)(source, tmp_path / "out.mp4", **SAME)
    assert loads == []
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


class Enough(Exception):
    """Not one of ours."""


def stop_at(count: int, error: BaseException) -> object:
    def on_progress(done: int, _total: int | None, _fps: float) -> None:
        if done >= count:
            raise error

    return on_progress


@pytest.mark.slow
@pytest.mark.parametrize("error", [Enough(), KeyboardInterrupt(), BrokenPipeError(32, "Broken pipe")], ids=repr)
def test_what_on_progress_raises_ends_the_work_and_comes_out(
    source: Path, tmp_path: Path, loads: list[Config], monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with pytest.raises(type(error)) as caught:
        upscale(source, tmp_path / "out.mp4", config=CONFIG, on_progress=stop_at(20, error), **SAME)  # type: ignore[arg-type]
    assert caught.value is error
    partial = tmp_path / "out_partial.mp4"
    assert error.__notes__ == [f"what was finished is in {partial}"]
    assert 20 <= len(played(partial).pictures) < FRAMES
    assert not (tmp_path / "out.mp4").exists()
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("what", ["source", "target", "preset", "config"])
def test_an_empty_path_is_not_the_current_directory(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loads: list[Config], what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {"source": source, "target": "out.mp4", what: ""}
    with pytest.raises(FlashVSRError, match=f"the {what} is an empty text; give a path"):
        upscale(**given, **SAME)
    assert [path.name for path in tmp_path.iterdir()] == [source.name]
    assert loads == []


@pytest.mark.slow
@pytest.mark.parametrize(("error", "begins"), [(Cancelled("enough"), "enough"), (Cancelled(), "stopped")])
def test_an_error_of_ours_says_itself_what_was_kept(
    source: Path, tmp_path: Path, loads: list[Config], error: Cancelled, begins: str
) -> None:
    with pytest.raises(Cancelled) as caught:
        upscale(source, tmp_path / "out.mp4", config=CONFIG, on_progress=stop_at(20, error), **SAME)  # type: ignore[arg-type]
    assert caught.value is error
    assert str(error) == f"{begins}; what was finished is in {tmp_path / 'out_partial.mp4'}"


@pytest.mark.slow
def test_before_the_first_frame_there_is_nothing_to_keep(source: Path, tmp_path: Path, loads: list[Config]) -> None:
    def stop() -> None:
        raise Enough

    prober_for(CONFIG).close()  # a fresh one gives its first sign of life at once
    with pytest.raises(Enough) as caught:
        upscale(source, tmp_path / "out.mp4", config=CONFIG, on_working=stop, **SAME)
    assert not hasattr(caught.value, "__notes__")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mov"]


def test_loading_may_be_stopped_too(source: Path, tmp_path: Path, loads: list[Config]) -> None:
    def stop(_text: str) -> None:
        raise BrokenPipeError

    upscaler = Upscaler(CONFIG)
    with pytest.raises(BrokenPipeError):
        upscaler.load(stop)
    upscaler.load()
    assert len(loads) == 2


def test_a_disk_in_the_way_is_told_as_one(
    source: Path, tmp_path: Path, loads: list[Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(Transient, match="gone"):
        upscale(source, tmp_path / "out.mp4", **SAME)


def test_links_of_the_caller_are_followed(source: Path, tmp_path: Path, loads: list[Config]) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "link.mov").symlink_to(source)
    report = upscale(tmp_path / "link.mov", tmp_path / "link" / "out.mp4", **SAME)
    assert report.result == tmp_path / "real" / "out.mp4"
    assert report.result.is_file()


def test_links_in_a_guarded_tree_are_not(source: Path, tmp_path: Path, loads: list[Config]) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link.mov").symlink_to(source)
    with pytest.raises(Transient, match="symbolic link"):
        Upscaler(CONFIG, trees=Trees((tmp_path / "tree",))).upscale(
            tmp_path / "tree" / "link.mov", tmp_path / "out.mp4", **SAME
        )
