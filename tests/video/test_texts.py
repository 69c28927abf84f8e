"""What a video says of itself, at any length and with any character: bounded in the result, visible in what is told."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import pytest

from flashvsr.system.text import MOST_WARNINGS, NAME, WARNING
from flashvsr.video.extras import LONGEST_NAME
from flashvsr.video.probe import probe
from flashvsr.video.pyav import LONGEST_TAG, LONGEST_TITLE, MOST_TAGS, tags
from kits.chain import chain
from kits.films import FONT, fill_picture, picture_track
from kits.nasty import TEXTS, is_safe

NASTY = "T\x1b[2J\nOK  forged \u202e" + "x" * 100_000


def film(path: Path, attachments: int = 1) -> Path:
    """A film whose every tag is too long and odd."""
    with av.open(str(path), "w") as out:
        video = picture_track(out)
        sound = out.add_stream("aac", rate=48000, layout="mono")
        out.metadata.update(title=NASTY, comment=NASTY, description=NASTY)
        video.metadata["title"] = NASTY
        sound.metadata.update(title=NASTY, language=NASTY)
        out.set_chapters([
            {"id": 0, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": NASTY}}
        ])  # fmt: skip
        for number in range(attachments):
            out.add_attachment(f"{number}{NASTY}", "font/ttf", FONT if attachments == 1 else b"font")
        for index in range(5):
            frame = av.AudioFrame("fltp", "mono", 1024)
            frame.sample_rate, frame.pts, frame.time_base = 48000, index * 1024, Fraction(1, 48000)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            out.mux(sound.encode(frame))
        fill_picture(out, video, 9)
        out.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_long_odd_tags_are_cut_in_the_result_and_visible_in_the_report(container: str, tmp_path: Path) -> None:
    path = film(tmp_path / "film.mkv")
    (track,) = probe(path).audio
    for told in (track.title, track.language):
        assert told is not None
        assert is_safe(told)
        assert len(told) <= NAME

    report = chain(path, tmp_path, container=container)
    assert all(is_safe(warning) and len(warning) <= WARNING for warning in report.warnings)
    assert len(report.to_json()) < 10_000
    assert is_safe(json.loads(report.to_json())["source"]["audio"][0]["title"])
    assert is_safe(report.to_toml())
    with av.open(str(report.result)) as back:
        known = {key.lower(): value for key, value in back.metadata.items()}
        for key in ("title", "comment", "description"):
            assert known[key].startswith(NASTY[:1000]), "as it is, as far as there is room"
            assert len(known[key]) <= LONGEST_TAG
        (chapter,) = back.chapters()
        assert chapter["metadata"]["title"].startswith(NASTY[:200])
        assert len(chapter["metadata"]["title"]) <= LONGEST_TITLE
        for stream in back.streams:
            longest = LONGEST_NAME if stream.type == "attachment" else LONGEST_TITLE
            assert all(len(value) <= longest for value in stream.metadata.values())
        if container == "mkv":
            assert back.streams.audio[0].metadata["title"].startswith(NASTY[:200])
            assert [bytes(cast(Any, s).data) for s in back.streams if s.type == "attachment"] == [FONT]


def test_warnings_about_many_things_are_counted(tmp_path: Path) -> None:
    report = chain(film(tmp_path / "film.mkv", attachments=120), tmp_path, container="mp4")
    assert len(report.warnings) == MOST_WARNINGS
    assert report.warnings[-1] == f"and {120 - MOST_WARNINGS + 1} more warnings"
    assert all(is_safe(warning) and len(warning) <= WARNING for warning in report.warnings)


# All that PyAV makes of bytes; it has no lone surrogates but those of bytes.
@pytest.mark.parametrize("kind", [kind for kind in TEXTS if kind != "lone surrogates"])
def test_tags_are_bounded_in_number_and_length(kind: str) -> None:
    text = TEXTS[kind]
    found = tags({f"{number}{text}": text for number in range(1000)})
    assert len(found) <= MOST_TAGS
    assert all(len(key) <= LONGEST_TAG and len(value) <= LONGEST_TAG for key, value in found.items())
