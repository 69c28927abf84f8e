"""Texts of ours among people's files: replaced and removed only as long as they are ours.

The last line of such a text says who wrote it, and holds a digest of the rest and of what the text is about. So it is
recognised by itself, also after the queue was lost or the share mounted anew; a text that a person wrote, or changed,
or that is about something else, is not taken for it. Where the name is taken, the text's name is numbered.

A text that is written once is `put`; one that is written again and again, and looked at meanwhile, is `renew`ed.
"""

from __future__ import annotations

import errno
import hashlib
import os
from itertools import islice
from pathlib import Path

from flashvsr.files import at
from flashvsr.files.advice import BLOCKED, DENIED, GONE
from flashvsr.files.made import Made
from flashvsr.files.moves import move_new, move_numbered
from flashvsr.files.names import numbered, those_numbered
from flashvsr.files.texts import OWN_MODE, encoded, hidden_text, hidden_text_name, read_up_to
from flashvsr.files.trees import Trees

# A comment in TOML as well.
_MARK = b"# flashvsr wrote this. It replaces and removes it only as long as nothing in it is changed: "

_COMMENT = b" -->\n"  # how the last line of one in HTML ends, where it begins with `<!-- `

LARGEST = 1 << 20  # bytes; ours are far smaller, and what is larger was not written here
MOST_RENEWED = 5  # names that are tried for a text that is renewed
MOST_NUMBERED = 30  # files of one name that are looked at: each may be as large as that, and somebody waits

_NOT_OURS = DENIED | GONE | BLOCKED


def put(trees: Trees, path: Path, text: str, about: str) -> Path:
    """Write a text about `about`, in place of ours of that name; returns where it lies. Raises OSError.

    One that lies there already is not written again. Where too many files of that name lie there, that is an error.
    """
    data = signed(text, about)
    with trees.directory(path.parent) as directory:
        if _content(directory, path.name) == data:  # asked at every scan: without a look at all that is there
            return path
        before = _ours(directory, path.name, about)
        if before and _content(directory, before[0]) == data:
            _take_away(directory, before[1:], about)
            return path.with_name(before[0])
        if len(those_numbered(at.names(directory), path.name)) >= MOST_NUMBERED:
            raise OSError(errno.EEXIST, f"{MOST_NUMBERED} files of that name lie there already; remove them", str(path))
        with hidden_text(path.parent, directory, data) as made:
            _take_away(directory, before, about)
            for name in numbered(path.name):
                try:
                    made.give_name(directory, name)
                except FileExistsError:
                    continue
                at.sync_directory(directory)
                return path.with_name(name)
    raise AssertionError("the numbers of names have no end")


def renew(trees: Trees, path: Path, text: str, about: str, *, html: bool = False) -> Path:
    """Write a text about `about`, in place of ours of that name in one step; returns where it lies. Raises OSError.

    Whoever opens it finds the old one or the new one, whole. `html`: its last line is made a comment of HTML.
    """
    data = signed(text, about, html=html)
    with trees.directory(path.parent) as directory:
        for name in islice(numbered(path.name), MOST_RENEWED):
            if at.taken(directory, name) and not _is_ours(_content(directory, name), about):
                continue
            with hidden_text(path.parent, directory, data, OWN_MODE) as made:
                if _has_taken(made, directory, name, about):
                    at.sync_directory(directory)
                    return path.with_name(name)
    raise OSError(errno.EEXIST, "files of other people have that name, and the next ones", str(path))


def _has_taken(made: Made, directory: int, name: str, about: str) -> bool:
    """Let a new text take a name that is free or has one of ours; False, and all as before, if it is somebody else's.

    Some file systems cannot exchange two names. There, who puts a file of that name between the look at ours and the
    step that replaces it, an instant later, loses it.
    """
    try:
        if not at.taken(directory, name):
            made.give_name(directory, name)
        elif (before := made.exchange(name)) is None:
            made.replace(name)
        elif _is_ours(_content(directory, before), about):
            at.remove(directory, before)
        else:
            made.exchange_back(name)
            return False
    except FileExistsError:
        return False
    return True


def withdraw(trees: Trees, path: Path, about: str) -> None:
    """Remove our texts of that name about `about`, if there are any. Raises OSError."""
    try:
        with trees.directory(path.parent) as directory:
            _take_away(directory, _ours(directory, path.name, about), about)
    except FileNotFoundError:
        return  # not even the directory


def signed(text: str, about: str, *, html: bool = False) -> bytes:
    """Return the bytes of a text with the line that makes it recognisable.

    What is too long for that is cut: one that is not recognised would be written again and again, under ever new names.
    """
    body = encoded(text)[: LARGEST - 2 * len(_MARK)].rstrip(b"\n") + (b"\n<!-- " if html else b"\n")
    return body + _MARK + _digest(body, about) + (_COMMENT if html else b"\n")


def _digest(body: bytes, about: str) -> bytes:
    about_digest = hashlib.blake2b(os.fsencode(about)).digest()
    return hashlib.blake2b(body, key=about_digest, digest_size=8).hexdigest().encode()


def _is_ours(data: bytes, about: str) -> bool:
    body, mark, digest = data.rpartition(_MARK)
    return bool(mark) and digest in (_digest(body, about) + end for end in (b"\n", _COMMENT))


def _ours(directory: int, name: str, about: str) -> list[str]:
    """Our texts under this name and its first numbered ones, in order."""
    found = those_numbered(at.names(directory), name)[:MOST_NUMBERED]
    return [one for one in found if _is_ours(_content(directory, one), about)]


def _content(directory: int, name: str) -> bytes:
    """What a text holds; nothing where it cannot be one of ours."""
    try:
        with at.closing(at.read(directory, name)) as descriptor:
            if os.fstat(descriptor).st_size > LARGEST:
                return b""
            return read_up_to(descriptor, LARGEST)
    except at.NotRegular:
        return b""
    except OSError as error:
        if error.errno in _NOT_OURS:
            return b""
        raise


def _take_away(directory: int, names: list[str], about: str) -> None:
    """Remove texts by way of a hidden name, where nobody edits or replaces them between the look and the removal."""
    for name in names:
        hidden = hidden_text_name()
        try:
            move_new(directory, name, directory, hidden)
        except FileNotFoundError:
            continue
        if _is_ours(_content(directory, hidden), about):
            at.remove(directory, hidden)
        else:
            move_numbered(directory, hidden, directory, name)
    if names:
        at.sync_directory(directory)
