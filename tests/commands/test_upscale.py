"""`flashvsr upscale` where the disk is full or may not be written, and stopped: words, exit codes, and what stays."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from torch import Tensor

from flashvsr.cli import main
from flashvsr.upscaling import engine
from kits.chain import IdentityEngine, IdentityStream, played
from kits.mounts import PAGE, MakeMount, fill
from kits.videos import numbered, tone, write_video


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    source = write_video(tmp_path / "clip.mp4", [numbered(number) for number in range(12)], audio=tone(0.48))
    config = tmp_path / "flashvsr.toml"
    config.write_text("[chunks]\nsize = 8\nmin_frames = 1\n")
    monkeypatch.setattr(engine, "load_engine", lambda config, say: IdentityEngine())

    def run(target: Path, *more: str) -> int:
        same = [f"--set={text}" for text in ("width=0", "scale=1", "fit=pad", "encoder=software", *more)]
        return main(["--config", str(config), "upscale", str(source), str(target), *same])

    return run


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_a_target_disk_that_is_full_at_any_byte(
    run: Callable[[Path], int],
    tmp_path: Path,
    mount: MakeMount,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    disk = mount(tmp_path / "disk", "1m").point
    for pages in range(20):
        ballast = fill(disk, pages * PAGE)
        code = run(disk / name)
        ballast.unlink()
        shown = capsys.readouterr()
        if code == 0:
            break
        assert code == 1
        assert "No space left on device; free some space there" in shown.err
        assert "Traceback" not in shown.err
        assert "PyAV" not in shown.err
        assert shown.out == ""
        assert list(disk.iterdir()) == []
    assert 1 < pages < 19
    assert [path.name for path in disk.iterdir()] == [name]
    assert shown.out == f"{disk / name}\n"


def test_a_full_temporary_directory(
    run: Callable[[Path], int],
    tmp_path: Path,
    mount: MakeMount,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    share = mount(tmp_path / "temporary", "1m")
    monkeypatch.setattr(tempfile, "tempdir", str(share.point))
    no_files = "there is space, but no more files can be made there; remove some"
    for files, advice in ((0, no_files), (None, "free some space there")):
        share.leave_files(files)
        ballast = fill(share.point, PAGE) if files is None else None
        assert run(tmp_path / "out.mp4") == 1
        shown = capsys.readouterr().err
        assert f"{share.point}/flashvsr-" in shown
        assert f"No space left on device; {advice}" in shown
        assert "Traceback" not in shown
        if ballast is not None:
            ballast.unlink()
        assert list(share.point.iterdir()) == []
    assert not (tmp_path / "out.mp4").exists()


def test_a_target_that_may_not_be_written_is_said_before_the_work(
    run: Callable[[Path], int],
    tmp_path: Path,
    mount: MakeMount,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    share = mount(tmp_path / "disk")
    share.read_only(True)
    monkeypatch.setattr(engine, "load_engine", lambda *_: pytest.fail("the model is loaded for nothing"))
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    assert run(share.point / "out.mp4") == 1
    told = f"cannot write to {share.point}: Read-only file system; it is mounted read-only; mount it writable"
    assert capsys.readouterr().err == f"flashvsr: {told}\n"


def test_a_text_that_is_called_a_video_is_refused_before_the_model_is_loaded(
    run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clip.mp4").write_text("no video")
    monkeypatch.setattr(engine, "load_engine", lambda *_: pytest.fail("the model is loaded for nothing"))
    assert run(tmp_path / "out.mp4") == 1
    assert f"{tmp_path / 'clip.mp4'} is not a video file" in capsys.readouterr().err


class Interrupting(IdentityEngine):
    """Sends this process a signal when its first window is due."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def stream(self, *_: object) -> IdentityStream:
        outer = self

        class Stream(IdentityStream):
            def run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
                for window in super().run(frames):
                    os.kill(os.getpid(), outer.number)
                    yield window
                    outer.number = signal.Signals.SIGCONT  # means nothing to a process that runs

        return Stream()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_work_in_good_order(
    run: Callable[[Path], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:  # fmt: skip
    before = signal.getsignal(number)
    monkeypatch.setattr(engine, "load_engine", lambda *_: Interrupting(number))
    assert run(tmp_path / "out.mp4") == 130
    shown = capsys.readouterr()
    partial = tmp_path / "out_partial.mp4"
    assert shown.err.splitlines()[-1] == f"flashvsr: stopped; what was finished is in {partial}"
    assert shown.out == ""
    assert len(played(partial).pictures) == 8
    assert not (tmp_path / "out.mp4").exists()
    assert signal.getsignal(number) is before


def test_ctrl_c_ends_the_loading_of_the_model_at_once(
    run: Callable[[Path], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_engine(*_: object) -> IdentityEngine:
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("it goes on loading")

    monkeypatch.setattr(engine, "load_engine", load_engine)
    assert run(tmp_path / "out.mp4") == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "flashvsr.toml"]
