"""Commands on files that a person names: links of the person's are followed, those that lie in a share are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.cli import main
from flashvsr.upscaling import engine
from kits.chain import IdentityEngine
from kits.paths import CLIPS
from kits.videos import numbered, write_video

SAME = [f"--set={text}" for text in ("width=0", "scale=1", "fit=pad", "encoder=software")]

Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command with the settings of a service whose inboxes lie in `share`."""
    (tmp_path / "share").mkdir()
    write_video(tmp_path / "clip.mp4", [numbered(number) for number in range(12)])
    (tmp_path / "preset.toml").write_text("codec = 'hevc'\n")
    config = tmp_path / "flashvsr.toml"
    config.write_text('[paths]\ninbox = "share"\noutbox = "outbox"\nstate = "state"\nmodels = "models"\n')
    monkeypatch.setattr(engine, "load_engine", lambda config, say: IdentityEngine())
    return lambda *arguments: main(["--config", str(config), *map(str, arguments)])


@pytest.mark.slow
@pytest.mark.parametrize("place", ["share", "elsewhere"])
@pytest.mark.parametrize("what", ["source", "preset", "folder"])
def test_upscale(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, place: str) -> None:
    folder = tmp_path / place
    folder.mkdir(exist_ok=True)
    (folder / "link").symlink_to(
        {"source": tmp_path / "clip.mp4", "preset": tmp_path / "preset.toml"}.get(what, tmp_path)
    )
    source = {"source": folder / "link", "folder": folder / "link" / "clip.mp4"}.get(what, tmp_path / "clip.mp4")
    preset = folder / "link" if what == "preset" else tmp_path / "preset.toml"
    code = run("upscale", source, tmp_path / "out.mp4", "--preset", preset, *SAME)
    if place == "elsewhere":
        assert code == 0
    else:
        assert code == (78 if what == "preset" else 1)
        assert "symbolic link is in the way" in capsys.readouterr().err
    assert (tmp_path / "out.mp4").exists() == (place == "elsewhere")


def test_a_result_in_a_share_goes_nowhere_else(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "share" / "link").symlink_to(tmp_path / "private")
    assert run("upscale", tmp_path / "clip.mp4", tmp_path / "share" / "link" / "out.mp4", *SAME) == 1
    assert "symbolic link is in the way" in capsys.readouterr().err
    assert list((tmp_path / "private").iterdir()) == []


def test_bench_quality(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "share" / "link.mp4").symlink_to(CLIPS / "bigbuckbunny.mp4")
    assert run("bench", "quality", tmp_path / "share" / "link.mp4", "--out", tmp_path / "out") == 1
    assert "symbolic link is in the way" in capsys.readouterr().err
