"""Which channels AAC gets for those that a source has, and how the rest is mixed down without losing one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.audio.layout import AudioLayout

# By the number of the source's channels. Seven are spread over eight: the one at the back becomes two.
_AAC = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "7.1", 8: "7.1"}
_CHANNELS = {"mono": 1, "stereo": 2, "3.0": 3, "4.0": 4, "5.0": 5, "5.1": 6, "7.1": 8}
_LEFT, _RIGHT, _BASS = ("L", "FLC"), ("R", "FRC"), "LFE"
# A sound field, of which the first two components are all around and left to right.
_FIELD, _FIELD_MIX = "ambisonic", "stereo|c0=0.5*c0+0.5*c1|c1=0.5*c0-0.5*c1"


def aac_layout(source: AudioLayout, least: int = 0) -> str:
    """The AAC's layout for a source's, with room for `least` channels. More than AAC has become stereo."""
    if _is_field(source):
        return "stereo"
    return _AAC.get(max(source.nb_channels, least), "stereo")


def channels_of(layout: str) -> int:
    """How many channels one of AAC's layouts has."""
    return _CHANNELS[layout]


def is_mixed_down(source: AudioLayout) -> bool:
    """Whether AAC has fewer channels than the source."""
    return source.nb_channels not in _AAC or _is_field(source)


def mixer(source: AudioLayout) -> str | None:
    """FFmpeg's `pan` for layouts beyond AAC's; None for the others, which FFmpeg's own rules mix well.

    FFmpeg drops most of a large layout's channels, and refuses channels whose places nobody told. Here each goes to
    its side, and to both where it has none.
    """
    if not is_mixed_down(source):
        return None
    if _is_field(source):
        return _FIELD_MIX
    names = [channel.name for channel in source.channels]
    return f"stereo|c0<{_all_but(_RIGHT, names)}|c1<{_all_but(_LEFT, names)}"


def _all_but(side: tuple[str, ...], names: list[str]) -> str:
    kept = [n for n, name in enumerate(names) if name.startswith(_BASS) or not name.endswith(side)]
    return "+".join(f"c{n}" for n in kept or range(len(names)))


def _is_field(source: AudioLayout) -> bool:
    return source.name.startswith(_FIELD) and source.nb_channels > 1
