"""Which names in an inbox are videos, which are still being copied, and which belong to someone else."""

from __future__ import annotations

from flashvsr.inbox.unfinished import is_temporary, is_temporary_folder
from flashvsr.settings.preset import PRESET_ERROR_NAME, PRESET_NAME

VIDEO_EXTENSIONS = frozenset(
    {"mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "m2v", "vob", "ts"}
    | {"m2ts", "mts", "m2t", "flv", "f4v", "wmv", "asf", "3gp", "3g2", "ogv", "ogg"}
    | {"ogm", "mxf", "gif", "y4m", "dv", "nut", "rm", "rmvb", "divx"}
)

NO_VIDEOS = "not videos by name and left alone"  # how a problem begins that is about such files

# All compared in lower case. A leading dot covers AppleDouble files, .DS_Store and our own temporaries.
_PREFIXES = (".", "~")
_NAMES = frozenset(
    {PRESET_NAME, PRESET_ERROR_NAME, "thumbs.db", "desktop.ini"}
    | {
        "@eadir",
        "#recycle",
        "@recycle",
        "#snapshot",
        "$recycle.bin",
        "system volume information",
        "lost+found",
    }
)
_NUMBERED = f"{PRESET_ERROR_NAME.removesuffix('.txt')} ("  # where a person's own file has that name
_PRESET_SUFFIXES = ("toml", "toml.txt", "txt", "toml.toml", "tml", "toml.bak", "ini", "cfg", "yaml", "yml", "json")


def ignored(name: str) -> bool:
    """Tell whether a file or directory of this name is never looked at and never mentioned."""
    if name.rpartition(".")[2] in VIDEO_EXTENSIONS and not name.startswith(_PREFIXES):
        return False  # nearly all names: each scan asks for each file
    lower = name.lower()
    if lower.startswith(_PREFIXES) or lower in _NAMES or is_temporary(lower):
        return True
    return lower.startswith(_NUMBERED) and lower.endswith(".txt")


def ignored_folder(name: str) -> bool:
    """Tell the same of a directory, which has more such names."""
    return ignored(name) or is_temporary_folder(name.lower())


def is_video_name(name: str) -> bool:
    """Tell whether the extension is that of a video container; the content is for the worker to judge."""
    stem, _, extension = name.rpartition(".")
    return bool(stem.strip(".")) and extension.lower() in VIDEO_EXTENSIONS


def is_misnamed_preset(name: str) -> bool:
    """Tell whether a file was surely meant as the preset, and is not read: editors add an ending that is not shown."""
    stem, _, suffix = name.lower().partition(".")
    return stem in ("preset", "presets") and suffix in _PRESET_SUFFIXES and name.lower() != PRESET_NAME
