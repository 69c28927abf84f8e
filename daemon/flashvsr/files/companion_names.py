"""Which files belong to a video by their name: subtitles, notes and pictures, and the names they get beside another."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from flashvsr.files.names import fitted
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

MOST = 40  # of one source; a film with subtitles in each language has fewer
_TAIL = re.compile(r"(?:\.[^./]{1,40}){0,3}\.(?:srt|ass|ssa|vtt|sub|idx|nfo|jpe?g|png)\Z", re.IGNORECASE)

IsVideo = Callable[[str], bool]  # whether a name is that of a video


def companions_of(video: str, names: Iterable[str], is_video: IsVideo) -> dict[str, str]:
    """Return which of the `names` in its folder are companions of a video, each with what follows the stem in it.

    What begins with the longer name of another video there belongs to that one.
    """
    names = list(names)
    stem = PurePosixPath(video).stem
    nearer = [name for name in names if is_video(name) and name != video and name.startswith(f"{stem}.")]
    others = tuple(f"{one}." for name in nearer for one in {name, PurePosixPath(name).stem} - {stem})
    found = {
        name: name[len(stem) :]
        for name in sorted(names)
        if name.startswith(f"{stem}.") and not name.startswith(others) and _TAIL.fullmatch(name, len(stem))
    }
    if len(found) > MOST:
        log.warning("%d files lie beside %s and have its name; %d go along", len(found), printable(video), MOST)
    return dict(list(found.items())[:MOST])


def may_go_along(name: str) -> bool:
    """Tell whether a file of this name is of a kind that goes along with a video, wherever that lies."""
    return _TAIL.search(name) is not None


def is_shared(video: str, names: Iterable[str], is_video: IsVideo) -> bool:
    """Tell whether another video of the same stem lies there, to which companions belong as well."""
    stem = PurePosixPath(video).stem
    return any(name != video and PurePosixPath(name).stem == stem and is_video(name) for name in names)


def renamed(found: dict[str, str], beside: Path) -> dict[str, str]:
    """Return the names that companions have beside this file: its stem, and what followed the stem before."""
    return {name: fitted(beside.stem, tail) for name, tail in found.items()}
