"""The ways to treat the tracks beside the picture, from what was asked for to what surely works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Way:
    """`audio`: copy, aac or none. `subtitles`: whether they are written."""

    audio: str
    subtitles: bool = True

    def __str__(self) -> str:
        sound = {"copy": "sound as it is", "aac": "sound as AAC", "none": "no sound"}[self.audio]
        return f"{sound} and {'all' if self.subtitles else 'no'} subtitles"


def ways_for(audio: str) -> list[Way]:
    """The ways to try for a preset's `audio`, from what was asked for to what surely works."""
    wished = {"copy": ("copy", "aac"), "aac": ("aac",), "none": ("none",)}[audio]
    return [*(Way(sound) for sound in wished), *dict.fromkeys((Way(wished[-1], False), Way("none", False)))]
