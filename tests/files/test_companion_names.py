"""Which files belong to a video by their name, and what they are called beside another."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashvsr.files.companion_names import MOST, companions_of, is_shared, renamed
from flashvsr.inbox.rules import is_video_name

FOLDER = [
    "clip.mov",
    "preset.toml",
    "clip.srt",
    "clip.en.srt",
    "clip.en.forced.ASS",
    "clip.nfo",
    "Clip.srt",
    "clip2.srt",
]


def found(video: str, *names: str) -> dict[str, str]:
    return companions_of(video, [video, *names], is_video_name)


def test_what_begins_with_the_stem_goes_along() -> None:
    assert companions_of("clip.mov", FOLDER, is_video_name) == {
        "clip.srt": ".srt",
        "clip.en.srt": ".en.srt",
        "clip.en.forced.ASS": ".en.forced.ASS",
        "clip.nfo": ".nfo",
    }


@pytest.mark.parametrize("name", ["clip.vtt", "clip.ssa", "clip.sub", "clip.idx", "clip.jpg", "clip.jpeg", "clip.PNG"])
def test_of_these_kinds(name: str) -> None:
    assert found("clip.mov", name) == {name: name[4:]}


@pytest.mark.parametrize(
    "name", ["clip.txt", "clip.exe", "clip", "clip.", "clip-poster.jpg", "clip.a.b.c.d.srt", ".clip.srt", "clip..srt"]
)
def test_and_no_others(name: str) -> None:
    assert found("clip.mov", name) == {}


def test_what_another_video_is_called_more_exactly_by_belongs_to_that() -> None:
    names = ["clip.part two.mkv", "clip.part two.srt", "clip.mkv", "clip.mkv.nfo", "clip.mov.nfo", "clip.de.srt"]
    assert found("clip.mov", *names) == {"clip.de.srt": ".de.srt", "clip.mov.nfo": ".mov.nfo"}
    assert companions_of("clip.part two.mkv", ["clip.mov", *names], is_video_name) == {"clip.part two.srt": ".srt"}


def test_videos_of_one_stem_share_them() -> None:
    assert is_shared("clip.mov", ["clip.mov", "clip.srt", "clip.mkv"], is_video_name)
    assert not is_shared("clip.mov", ["clip.mov", "clip.srt", "clips.mkv"], is_video_name)


def test_their_number_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    assert len(found("clip.mov", *(f"clip.{number}.srt" for number in range(MOST + 5)))) == MOST
    assert f"{MOST + 5} files lie beside clip.mov" in caplog.text


def test_beside_another_they_have_its_stem() -> None:
    names = renamed({"clip.en.srt": ".en.srt"}, Path("/out/clip (2).mp4"))
    assert names == {"clip.en.srt": "clip (2).en.srt"}
    assert len(renamed({"a": ".srt"}, Path("n" * 251 + ".mp4"))["a"]) == 255
