"""Pictures of what a job gained: beside the result, and for the status page. They never fail a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flashvsr.files.state import StateDirectory
from flashvsr.upscaling import showing
from flashvsr.video.comparison import SMALL_BYTES
from kits.chain import chain
from kits.videos import numbered, write_video

JPEG = b"\xff\xd8"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", [numbered(n) for n in range(12)])


def listing(place: Path) -> list[str]:
    return sorted(entry.name for entry in place.iterdir())


def test_a_picture_beside_the_result(clip: Path, tmp_path: Path) -> None:
    report = chain(clip, tmp_path, compare=True, report=True)
    assert listing(tmp_path / "out") == ["clip.mp4", "clip.mp4.compare.jpg", "clip.mp4.report.toml"]
    assert report.warnings == []
    assert (tmp_path / "out" / "clip.mp4.compare.jpg").read_bytes().startswith(JPEG)


def test_only_where_it_is_asked_for(clip: Path, tmp_path: Path) -> None:
    chain(clip, tmp_path)
    assert listing(tmp_path / "out") == ["clip.mp4"]


def test_a_small_one_for_the_page(clip: Path, tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    state.thumbnails.mkdir(parents=True)
    for _ in range(2):  # a job that is done again
        chain(clip, tmp_path, thumbnail=state.thumbnail(1))
        data = state.thumbnail(1).read_bytes()
        assert data.startswith(JPEG)
        assert len(data) <= SMALL_BYTES
    assert listing(state.thumbnails) == ["1.jpg"]
    assert listing(tmp_path / "out") == ["clip (2).mp4", "clip.mp4"]


def test_no_file_is_replaced(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "clip.mp4.compare.jpg").write_text("mine")
    chain(clip, tmp_path, compare=True)
    assert (tmp_path / "out" / "clip.mp4.compare.jpg").read_text() == "mine"
    assert "clip.mp4.compare (2).jpg" in listing(tmp_path / "out")


@pytest.mark.parametrize("name", ["labelled", "pair_of", "small"])
def test_what_cannot_be_made_is_a_warning(
    clip: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("nobody thought of it")

    monkeypatch.setattr(showing, name, fail)
    report = chain(clip, tmp_path, compare=True, thumbnail=tmp_path / "1.jpg")
    assert listing(tmp_path / "out") == ["clip.mp4"]
    assert report.warnings == ["the picture that compares source and result could not be made: nobody thought of it"]
    assert "nobody thought of it" in caplog.text


def test_without_a_place_for_the_small_one_there_is_no_warning(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    report = chain(clip, tmp_path, thumbnail=tmp_path / "nowhere" / "1.jpg")
    assert listing(tmp_path / "out") == ["clip.mp4"]
    assert report.warnings == []
    assert "no picture of the gain" in caplog.text
