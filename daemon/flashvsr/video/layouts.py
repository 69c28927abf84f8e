"""Which channels AAC gets for those that a source has, and how the rest is mixed down without losing one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.audio.layout import AudioLayout

# Those of AAC that every player knows, the small ones first.
_HOLDS = {
    "mono": ("FC",),
    "stereo": ("FL", "FR"),
    "3.0": ("FL", "FR", "FC"),
    "4.0": ("FL", "FR", "FC", "BC"),
    "5.0": ("FL", "FR", "FC", "BL", "BR"),
    "5.1": ("FL", "FR", "FC", "LFE", "BL", "BR"),
    "7.1": ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}
_MOST = 8
_UNKNOWN = "TB"  # at the top of the back: FFmpeg has no rule for them
_LEFT, _RIGHT, _BASS = ("L", "FLC"), ("R", "FRC"), "LFE"
# A sound field, of which the first two components are all around and left to right.
_FIELD, _FIELD_MIX = "ambisonic", "stereo|c0=0.5*c0+0.5*c1|c1=0.5*c0-0.5*c1"


def aac_layout(source: AudioLayout, least: int = 0) -> str:
    """The AAC's layout for a source's, with room for `least` channels. More than AAC has become stereo."""
    if is_mixed_down(source):
        return "stereo"
    count = max(source.nb_channels or 2, least)
    names = _places(source) if source.nb_channels > 1 or count == 1 else set()  # one channel goes to all
    for layout, held in _HOLDS.items():
        if len(held) >= count and names <= set(held):
            return layout
    return "7.1"


def channels_of(layout: str) -> int:
    """How many channels one of AAC's layouts has."""
    return len(_HOLDS[layout])


def is_mixed_down(source: AudioLayout) -> bool:
    """Whether AAC has fewer channels than the source, or none for those."""
    return source.nb_channels > _MOST or _is_field(source) or any(c.name.startswith(_UNKNOWN) for c in source.channels)


def mixer(source: AudioLayout, layout: str) -> str | None:
    """FFmpeg's `pan` from a source's layout to AAC's; None where FFmpeg's own rules mix well.

    FFmpeg drops most of a large layout's channels, and guesses at or refuses channels whose places nobody told. Here
    each goes to its side, and to both where it has none.
    """
    if _is_field(source):
        return _FIELD_MIX
    count, told = source.nb_channels, _is_told(source)
    if is_mixed_down(source) or (not told and count > channels_of(layout)):
        names = [channel.name for channel in source.channels]
        return f"stereo|c0<{_all_but(_RIGHT, names)}|c1<{_all_but(_LEFT, names)}"
    if told:
        return None
    return f"{layout}|" + "|".join(f"c{n}=c{n}" if n < count else f"c{n}=0*c0" for n in range(channels_of(layout)))


def _all_but(side: tuple[str, ...], names: list[str]) -> str:
    kept = [n for n, name in enumerate(names) if name.startswith(_BASS) or not name.endswith(side)]
    return "+".join(f"c{n}" for n in kept or range(len(names)))


def _places(source: AudioLayout) -> set[str]:
    """The names of its channels; those at the sides are those at the back where there are no others."""
    names = {channel.name for channel in source.channels} if _is_told(source) else set()
    return names if "BL" in names or "BR" in names else {{"SL": "BL", "SR": "BR"}.get(name, name) for name in names}


def _is_told(source: AudioLayout) -> bool:
    return not source.name.endswith(" channels")


def _is_field(source: AudioLayout) -> bool:
    return source.name.startswith(_FIELD) and source.nb_channels > 1
