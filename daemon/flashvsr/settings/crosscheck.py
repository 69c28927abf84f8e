"""Checks that take more than one value: folders that must not contain each other, features still to come."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flashvsr.settings.document import Setting
from flashvsr.settings.kinds import shown
from flashvsr.settings.processing_tables import Pipeline

INBOX, OUTBOX, ARCHIVE, OTHER = "inbox", "outbox", "archive", "other"


@dataclass(frozen=True)
class ConfiguredFolder:
    """A configured folder: what it is for (INBOX, OUTBOX, ARCHIVE, OTHER), its path, and its place for messages."""

    role: str
    path: Path
    label: str


@dataclass(frozen=True)
class NotYet:
    """An option that the settings know and this version does not read.

    `default`: the value that asks for nothing, and is accepted. `instead`: how things are without the feature.
    """

    table: str
    key: str
    default: object
    instead: str


_ONE_GPU = "each video runs on one GPU"
# A version that brings the feature deletes its line here.
NOT_YET = (
    NotYet("pipeline", "devices", Pipeline.devices, _ONE_GPU),
    NotYet("pipeline", "split_block", Pipeline.split_block, _ONE_GPU),
    NotYet("pipeline", "overlap", Pipeline.overlap, _ONE_GPU),
    NotYet("pipeline", "overlap_mode", Pipeline.overlap_mode, _ONE_GPU),
)


def check_not_available(settings: Mapping[tuple[str, str], Setting]) -> Iterator[str]:
    """Yield a problem for each value whose feature does not exist in this version."""
    for item in NOT_YET:
        setting = settings.get((item.table, item.key))
        if setting is not None and setting.value != item.default:
            asked = f"{setting.label} = {shown(setting.value)}"
            yield f"{asked}: does not work yet in this version; take it out: {item.instead}"


def check_folders(folders: Sequence[ConfiguredFolder]) -> Iterator[str]:
    """Yield a problem for each pair of folders that would feed results or state back into an inbox.

    Symbolic links are followed for the comparison: a linked outbox inside an inbox is just as endless. Of folders
    that are the same and for the same purpose, the others are compared with the first. Takes time by their number.
    """
    real = [Path(os.path.realpath(folder.path)) for folder in folders]
    places: dict[tuple[Path, str], int] = {}
    for number, folder in enumerate(folders):
        places.setdefault((real[number], folder.role), number)
    pairs = [
        (number, outer)
        for number, path in enumerate(real)
        for above in (path, *path.parents)
        for role in (INBOX, OUTBOX, ARCHIVE)
        if (outer := places.get((above, role))) is not None
        and _feeds_back(folders[number], folders[outer], same=above == path)
        and number != outer
    ]
    for number, outer in sorted(pairs, key=sorted):
        inner_role, outer_role = folders[number].role, folders[outer].role
        role = inner_role if outer_role == INBOX else outer_role
        yield _nested(folders[number], folders[outer], role, same=real[number] == real[outer])


def _feeds_back(inner: ConfiguredFolder, outer: ConfiguredFolder, *, same: bool) -> bool:
    """Whether a folder must not lie in another; of two that are the same, only one order counts."""
    return outer.role == INBOX or (inner.role == INBOX and not same)


def _nested(inner: ConfiguredFolder, outer: ConfiguredFolder, role: str, *, same: bool) -> str:
    reason = {
        INBOX: "its videos would be done twice",
        OUTBOX: "results would be taken for new videos",
        ARCHIVE: "archived videos would be taken for new ones",
        OTHER: "files of the service would be taken for videos",
    }[role]
    relation = "must not be the same folder as" if same else "must not lie inside"
    place = f"{outer.label} = {shown(outer.path)}"
    return f"{inner.label} = {shown(inner.path)}: {relation} {place}, or {reason}; choose another folder"
