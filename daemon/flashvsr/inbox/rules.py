"""Which names in an inbox are videos, which are still being copied, and which belong to someone else."""

from __future__ import annotations

from pathlib import PurePath

from flashvsr.preset import PRESET_ERROR_NAME, PRESET_NAME

VIDEO_EXTENSIONS = frozenset(
    {"mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "m2v", "vob", "ts"}
    | {"m2ts", "mts", "m2t", "flv", "f4v", "wmv", "asf", "3gp", "3g2", "ogv", "ogg"}
    | {"ogm", "mxf", "gif", "y4m", "dv", "nut", "rm", "rmvb", "divx"}
)

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
_NUMBERED = f"{PurePath(PRESET_ERROR_NAME).stem} ("  # where a person's own file has that name
_UNFINISHED = (
    *(".part", ".tmp", ".temp", ".crdownload", ".filepart", ".partial", ".download", ".opdownload"),
    *(".unfinished", ".incomplete", ".aria2", ".!ut", ".!qb"),
)


def ignored(name: str) -> bool:
    """Tell whether a file or directory of this name is never looked at and never mentioned."""
    lower = name.lower()
    if lower.startswith(_PREFIXES) or lower in _NAMES or lower.endswith(_UNFINISHED):
        return True
    return lower.startswith(_NUMBERED) and lower.endswith(".txt")


def is_video_name(name: str) -> bool:
    """Tell whether the extension is that of a video container; the content is for the worker to judge."""
    return PurePath(name).suffix[1:].lower() in VIDEO_EXTENSIONS
