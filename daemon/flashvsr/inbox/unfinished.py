"""Downloads and copies that are not complete although nothing moves: told by a file's name, or by what lies beside it.

Standing still is no proof: a download that was paused stands still as well. Most programs give what they write a name
of its own (`clip.mp4.part`), which is ignored (`is_temporary`) until it gets its real one. Some write under the real
name from the start and keep a second file beside it until all is there (aria2: `clip.mp4` and `clip.mp4.aria2`); such a
file waits for its companion to go (`Companions`). And yt-dlp's parts have names like videos (`looks_like_part`).

Copies that a synchroniser keeps because of a conflict ("clip (conflicted copy).mp4", "clip.sync-conflict-….mp4") are
whole videos, and done like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Of browsers, download managers, torrent and eMule clients, file servers and synchronisers. In lower case.
_SUFFIXES = (
    *(".part", ".tmp", ".temp", ".partial", ".filepart", ".unfinished", ".incomplete"),
    *(".crdownload", ".crswap", ".download", ".opdownload", ".fdmdownload"),  # browsers, FDM
    *(".aria2", ".aria2__temp", ".ytdl", ".dctmp", ".jc!", ".ob!", ".xltd", ".td", ".td.cfg"),
    *(".!ut", ".!qb", ".!bt", ".bc!", ".bts", ".!sync", ".part.met", ".part.met.bak"),
)
# yt-dlp's fragments, JDownloader's and others' numbered pieces.
_PIECE = re.compile(r".+\.part(-frag)?\d+(\.part)?", re.DOTALL)
# SABnzbd unpacks into _UNPACK_<name>, which it renames, to _FAILED_<name> if that failed; NZBGet into _unpack, below
# <name>.#<number>.
_FOLDERS = ("_unpack_", "_failed_")
_NZBGET = re.compile(r".+\.#\d+", re.DOTALL)
_ADMIN = "__admin__"  # SABnzbd's notes in a folder that it still fills

# What a temporary's name says about the name that the file will have. Of rsync's, which end in six random characters,
# only those with a capital: .clip.mp4.sha256 is nothing to wait for.
_HIDDEN = re.compile(
    r"\.syncthing\.(?P<syncthing>.+)\.tmp"
    r"|~syncthing~(?P<tilde>.+)\.tmp"
    r"|\.(?P<cloud>.+)\.~[0-9a-f]{1,8}"  # ownCloud, Nextcloud
    r"|\.(?P<rsync>.+\.\w+)\.(?-i:(?=.*[A-Z])[A-Za-z0-9]{6})",
    re.DOTALL | re.IGNORECASE,
)
_SHOWN = re.compile(
    r"(?P<cloud>.+)\.octransferid\d+\.part"
    r"|(?P<rclone>.+)\.[0-9a-f]{8}\.partial"
    r"|(?P<pieces>.+)\.part(?:-frag)?\d+(?:\.part)?"
    rf"|(?P<plain>.+?)(?:{'|'.join(map(re.escape, _SUFFIXES))})",
    re.DOTALL | re.IGNORECASE,
)

_VIDEO = "mp4|m4v|mkv|webm|mov|avi|flv|3gp|ts"
# yt-dlp converts and joins into <name>.temp.<extension>, and calls what it joins <name>.f<format>.<extension>.
# YouTube's formats of pictures without sound have three digits. With fewer it may be any name: race.f1.mp4.
_TEMP = re.compile(rf"(?P<name>.+)\.temp(?P<extension>\.(?:{_VIDEO}))", re.DOTALL | re.IGNORECASE)
_FORMAT = re.compile(rf".+\.f\d{{3}}(-\w+)?\.(?:{_VIDEO})", re.DOTALL)
# Of other sites the formats have any name. That is no reason to leave a video alone, unless the sound for it lies there
# as well, or some part that is still being fetched.
_ANY_FORMAT = re.compile(rf"(?P<name>.+)\.f[\w=+-]*\d[\w=+-]*\.(?:{_VIDEO})", re.DOTALL)
_SOUND = "m4a|opus|mp3|aac|ogg|weba"
_OTHER_PART = re.compile(
    r"(?P<name>.+)\.f(?=[\w=+-]*(?:\d|audio))[\w=+-]+"
    rf"\.(?:(?:{_SOUND})|(?:{_VIDEO}|{_SOUND})\.(?:part|ytdl))",
    re.DOTALL,
)


def is_temporary(name: str) -> bool:
    """Tell whether a file or directory of this name, in lower case, is some program's own until it gets another one."""
    return name.endswith(_SUFFIXES) or (".part" in name and bool(_PIECE.fullmatch(name)))


def is_temporary_folder(name: str) -> bool:
    """Tell whether a directory of this name, in lower case, is one that some program still fills."""
    if is_temporary(name) or name.startswith(_FOLDERS) or name in ("_unpack", _ADMIN):
        return True
    return ".#" in name and bool(_NZBGET.fullmatch(name))


def looks_like_part(name: str) -> bool:
    """Tell whether a video of this name is most likely one of yt-dlp's that will be joined, or is being written."""
    lower = name.lower()
    return bool(_FORMAT.fullmatch(lower) or _TEMP.fullmatch(lower))


class Companions:
    """The names in one directory that say something about the files beside them."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._by_name: dict[str, str] = {}  # the file's name, in lower case: what lies beside it
        self._parts: dict[str, str] = {}  # by the name that the joined video will have
        self._admin = ""
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        """Take one name of the directory into account."""
        lower = name.lower()
        if lower == _ADMIN:
            self._admin = name
        if final := _final_name(name):
            self._by_name.setdefault(final.lower(), name)
        if part := _OTHER_PART.fullmatch(lower):
            self._parts.setdefault(part["name"], name)

    def of(self, name: str) -> str | None:
        """Return the companion that a file waits for; None if it has none."""
        lower = name.lower()
        part = _ANY_FORMAT.fullmatch(lower) if self._parts else None
        return self._by_name.get(lower) or (part and self._parts.get(part["name"])) or self._admin or None


def _final_name(name: str) -> str | None:
    """Return the name that the file which is written under this one will have."""
    if temp := _TEMP.fullmatch(name):
        return temp["name"] + temp["extension"]
    match = (_HIDDEN if name.startswith((".", "~")) else _SHOWN).fullmatch(name)
    return None if match is None else match[match.lastgroup or 0]
