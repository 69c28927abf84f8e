"""What a result says about itself: chapters of any kind, and what phones note beside the film."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

from flashvsr.video.describe import chapters_of as made_of
from flashvsr.video.mux import assemble
from flashvsr.video.probe import probe
from kits.chain import chain
from kits.films import fill_picture, jpeg, picture_track
from kits.paths import CARRIED
from kits.videos import make_chunks

CONTAINERS = pytest.mark.parametrize("container", ["mp4", "mkv"])
PLACE = "+48.1372+011.5755+519.000/"
Chapter = tuple[int, int, str]  # start and end in ms, and the title


def with_chapters(path: Path, chapters: Sequence[Chapter]) -> Path:
    """A film of two seconds."""
    with av.open(str(path), "w") as out:
        out.set_chapters([
            {"id": number, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
            for number, (start, end, title) in enumerate(chapters, 1)
        ])  # fmt: skip
        fill_picture(out, picture_track(out))
    return path


def chapters_of(path: Path) -> list[Chapter]:
    with av.open(str(path)) as back:
        return [
            (
                round(chapter["start"] * chapter["time_base"] * 1000),
                round(chapter["end"] * chapter["time_base"] * 1000),
                chapter["metadata"]["title"],
            )
            for chapter in back.chapters()
        ]


def seconds_of(path: Path) -> float:
    with av.open(str(path)) as back:
        return back.duration / av.time_base


@CONTAINERS
def test_chapters_beyond_the_end_are_cut_to_the_film(container: str, tmp_path: Path) -> None:
    path = with_chapters(
        tmp_path / "film.mkv", [(300, 900, "late"), (1500, 900_000, "long"), (2000, 2500, "x"), (7000, 9000, "y")]
    )
    report = chain(path, tmp_path, container=container)
    assert seconds_of(report.result) == 2.0
    # QuickTime's chapters have no gaps: the first begins with the film, each ends with the next.
    first = (0, 300) if container == "mp4" else (300, 900)
    assert chapters_of(report.result)[-1] == (1500, 2000, "long")
    assert chapters_of(report.result)[0][2] == "late"
    assert chapters_of(report.result)[0][0] == first[0]
    assert report.warnings == ["chapters left out, as they begin after the film's end: x, y"]


@CONTAINERS
def test_chapters_that_overlap_or_are_over_at_once(container: str, tmp_path: Path) -> None:
    given = [(0, 1500, "first"), (1000, 2000, "second"), (1200, 1200, "third")]
    report = chain(with_chapters(tmp_path / "film.mkv", given), tmp_path, container=container)
    found = chapters_of(report.result)
    assert [(start, title) for start, _, title in found] == [(0, "first"), (1000, "second"), (1200, "third")]
    assert [end for _, end, _ in found] == ([1000, 1200, 2000] if container == "mp4" else [1500, 2000, 2000])
    assert seconds_of(report.result) == 2.0
    assert report.warnings == []


def test_chapters_in_any_order_and_one_that_ends_before_it_begins() -> None:
    """FFmpeg writes none of these."""
    given = [
        {"id": number, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": {}}
        for number, (start, end) in enumerate([(1000, 500), (0, 800), (1500, 10)])
    ]
    source = SimpleNamespace(chapters=lambda: given)
    written, lost = made_of(source, Fraction(0), Fraction(2), "mkv")  # type: ignore[arg-type]
    times = [
        tuple(round(chapter[key] * chapter["time_base"] * 1000) for key in ("start", "end")) for chapter in written
    ]
    assert times == [(0, 800), (1000, 1500), (1500, 2000)]
    assert lost == []


@CONTAINERS
def test_chapters_that_begin_together(container: str, tmp_path: Path) -> None:
    given = [(0, 2000, "all"), (0, 1000, "half"), (1000, 2000, "rest")]
    report = chain(with_chapters(tmp_path / "film.mkv", given), tmp_path, container=container)
    if container == "mkv":
        assert chapters_of(report.result) == given
        assert report.warnings == []
    else:
        assert chapters_of(report.result) == [(0, 1000, "half"), (1000, 2000, "rest")]
        assert report.warnings == [
            "chapters left out, as mp4 has one chapter at a time, and others begin where they do: all"
        ]


@pytest.mark.parametrize("source", ["mp4", "mkv"])
@CONTAINERS
def test_hundreds_of_chapters(source: str, container: str, tmp_path: Path) -> None:
    given = [(5 * number, 5 * number + 5, f"Chapter {number}") for number in range(400)]
    report = chain(with_chapters(tmp_path / f"film.{source}", given), tmp_path, container=container)
    assert chapters_of(report.result) == given
    assert report.warnings == []


@CONTAINERS
def test_a_partial_has_the_chapters_of_its_part(container: str, tmp_path: Path) -> None:
    info = probe(with_chapters(tmp_path / "film.mkv", [(0, 800, "a"), (800, 1600, "b"), (1600, 2000, "c")]))
    chunks, _ = make_chunks(info, (128, 64), tmp_path / "work", lengths=(30,))
    result = tmp_path / f"partial.{container}"
    assemble(chunks[:1], info, result, "copy", container, partial=True)
    assert chapters_of(result) == [(0, 800, "a"), (800, 1200, "b")]


@CONTAINERS
def test_what_a_phone_notes(container: str, tmp_path: Path) -> None:
    report = chain(Path(shutil.copy(CARRIED / "iphone.mov", tmp_path)), tmp_path, container=container)
    with av.open(str(report.result)) as back:
        known = {key.lower(): value for key, value in back.metadata.items()}
    assert known["location"].replace("519.000000", "519.000") == PLACE
    assert known["com.apple.quicktime.make"] == "Apple"
    assert known["com.apple.quicktime.model"] == "iPhone 15"
    assert known["date"] == known["com.apple.quicktime.creationdate"] == "2024-05-04T12:20:30+0200"
    assert known["creation_time"].startswith("2024-05-04T10:20:30")
    assert not any("left out" in warning for warning in report.warnings)


@CONTAINERS
@pytest.mark.parametrize("source", ["mp4", "mov"])
def test_android_and_older_cameras(source: str, container: str, tmp_path: Path) -> None:
    path = tmp_path / f"film.{source}"
    given = {"title": "A film", "location": PLACE}
    given |= {"com.android.version": "14"} if source == "mp4" else {"make": "Canon", "model": "EOS"}
    flags = {"movflags": "use_metadata_tags"} if source == "mp4" else {}
    with av.open(str(path), "w", container_options=flags) as out:
        out.metadata.update(given)
        fill_picture(out, picture_track(out))
    report = chain(path, tmp_path, container=container)
    with av.open(str(report.result)) as back:
        known = {key.lower(): value for key, value in back.metadata.items()}
    assert known["location"].replace("519.000000", "519.000") == PLACE
    assert {key: known.get(key) for key in given if key != "location"} == {
        key: value for key, value in given.items() if key != "location"
    }
    assert report.warnings == []


@CONTAINERS
def test_a_phone_s_film_with_cover_art(container: str, tmp_path: Path) -> None:
    """MP4 has either a cover or a phone's words; the cover is what people see."""
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as out:
        out.metadata.update({"make": "Apple", "location": PLACE, "title": "A film"})
        video = picture_track(out)
        out.add_attachment("cover.jpg", "image/jpeg", jpeg())
        fill_picture(out, video)
    report = chain(path, tmp_path, container=container)
    with av.open(str(report.result)) as back:
        known = {key.lower(): value for key, value in back.metadata.items()}
        assert any(stream.disposition.value & 0x400 for stream in back.streams.video)
    assert known["title"] == "A film"
    assert known["location"].replace("519.000000", "519.000") == PLACE
    assert known.get("make") == ("Apple" if container == "mkv" else None)
    told = ["the camera's notes left out, as mp4 has no room for them beside a cover: make"]
    assert report.warnings == (told if container == "mp4" else [])


def test_the_program_that_wrote_a_source_is_no_camera(tmp_path: Path) -> None:
    """FFmpeg notes itself in AVI. The title stays where all players of MP4 look for it."""
    path = tmp_path / "film.avi"
    with av.open(str(path), "w") as out:
        out.metadata["title"] = "Holiday"
        fill_picture(out, picture_track(out))
    with av.open(str(path)) as source:
        assert "software" in {key.lower() for key in source.metadata}
    report = chain(path, tmp_path)
    assert b"\xa9nam" in report.result.read_bytes()
    with av.open(str(report.result)) as result:
        assert result.metadata["title"] == "Holiday"
        assert "software" not in {key.lower() for key in result.metadata}
