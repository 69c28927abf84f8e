"""What the result says about itself: title, dates, place, camera; the names of its tracks; its chapters."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, Any

from flashvsr.video.probe import track_title
from flashvsr.video.pyav import LONGEST_TITLE, tags

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

_METADATA = (
    "title", "artist", "album_artist", "album", "composer", "genre", "date", "year", "comment", "description",
    "synopsis", "show", "episode_id", "network", "copyright", "creation_time", "location",
    "location-eng", "keywords",
)  # fmt: skip
_TICK = Fraction(1, 1_000_000)  # seconds, for chapters
_MOST_CHAPTERS = 2000  # a book of hours has fewer
_STREAM_METADATA = ("language", "handler_name", "creation_time")
# Of phones and cameras. MP4 has no words of its own for them, only the keys that Apple's and Android's files use.
_CAMERA = ("make", "model")
_CAMERA_PREFIXES = ("com.apple.quicktime.", "com.android.")
# What players and MP4 know under another name.
_SAME = {
    "com.apple.quicktime.location.iso6709": "location",
    "com.apple.quicktime.creationdate": "date",
    "com.apple.quicktime.title": "title",
    "com.apple.quicktime.description": "description",
    "com.apple.quicktime.comment": "comment",
    "com.apple.quicktime.artist": "artist",
    "com.apple.quicktime.copyright": "copyright",
    "com.apple.quicktime.keywords": "keywords",
}


def file_tags(source: InputContainer, any_key: bool) -> tuple[dict[str, str], list[str]]:
    """The source's tags that are true of the result, too; and what was left out, in words.

    Nothing about the old coding, and no rotation. `any_key`: whether the result takes other keys than the usual ones.
    """
    found = tags(source.metadata)
    known = {key.lower(): value for key, value in found.items()}
    kept = {key: known[key] for key in _METADATA if key in known}
    for other, key in _SAME.items():
        if other in known:
            kept.setdefault(key, known[other])
    camera = {key: value for key, value in found.items() if _is_of_camera(key)}
    if any_key:
        return kept | camera, []
    lost = ", ".join(key.lower() for key in camera if key.lower() not in _SAME)
    return kept, [f"the camera's notes left out, as mp4 has no room for them beside a cover: {lost}"] if lost else []


def wants_keys(source: InputContainer) -> bool:
    """Whether MP4 has to keep tags under their own names, as phones write them, instead of iTunes' few."""
    return any(_is_of_camera(key) for key in source.metadata)


def _is_of_camera(key: str) -> bool:
    return key.lower() in _CAMERA or key.lower().startswith(_CAMERA_PREFIXES)


def describe_stream(source: Stream, target: Stream) -> None:
    """Language, title and place in the menu of a track."""
    known = tags(source.metadata, LONGEST_TITLE)
    target.metadata.update({key: known[key] for key in _STREAM_METADATA if key in known})
    title = track_title(source)
    if title is not None:
        target.metadata["title"] = title
    target.disposition = source.disposition.value  # type: ignore[assignment]  # a plain number in PyAV 15 and 16


@dataclass(frozen=True)
class _Chapter:
    """Times in seconds; `facts` are PyAV's."""

    start: Fraction
    end: Fraction
    facts: dict[str, Any]


def chapters_of(
    source: InputContainer, start: Fraction, end: Fraction, container: str, cut: bool = False
) -> tuple[list[Any], list[str]]:
    """Chapters as PyAV wants them, with times from `start`, none beyond `end`; and what was left out, in words.

    `cut`: the film is not to have what comes after `end`, so that is not worth a word.
    MP4 shows one at a time, in order, and a last one for as long as it says, though the film be over.
    """
    found = sorted((_read(chapter, start) for chapter in source.chapters()), key=lambda chapter: chapter.start)
    kept = [chapter for chapter in found if chapter.start < end]
    lost = [] if cut else _left_out(found[len(kept) :], "they begin after the film's end")
    lost += _left_out(kept[_MOST_CHAPTERS:], f"a result has {_MOST_CHAPTERS} at most")
    kept = kept[:_MOST_CHAPTERS]
    if container == "mp4":
        beside = [a for a, b in pairwise(kept) if a.start == b.start]
        kept = [chapter for chapter in kept if chapter not in beside]
        lost += _left_out(beside, "mp4 has one chapter at a time, and others begin where they do")
    written = []
    for chapter, after in zip_longest(kept, kept[1:]):
        following = end if after is None else after.start
        ends_there = chapter.end <= chapter.start or (container == "mp4" and chapter.end > following)
        last = following if ends_there else min(chapter.end, end)
        times = {"start": round(chapter.start / _TICK), "end": round(last / _TICK), "time_base": _TICK}
        written.append({**chapter.facts, **times})
    return written, lost


def _left_out(chapters: list[_Chapter], reason: str) -> list[str]:
    names = [chapter.facts["metadata"].get("title") or "one without a title" for chapter in chapters]
    return [f"chapters left out, as {reason}: {', '.join(names)}"] if names else []


def _read(chapter: Any, start: Fraction) -> _Chapter:
    first, last = (max(Fraction(0), chapter[key] * chapter["time_base"] - start) for key in ("start", "end"))
    return _Chapter(first, last, {**chapter, "metadata": tags(chapter["metadata"], LONGEST_TITLE)})
