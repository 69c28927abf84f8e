from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import pytest

from flashvsr.errors import BadInput
from flashvsr.files.names import fitted, numbered, those_numbered
from flashvsr.files.trees import NO_LINKS
from flashvsr.outbox.publish import Outbox
from flashvsr.outbox.targets import target_for

OUTBOX = Outbox(NO_LINKS)

OUT = Path("/out")


@pytest.mark.parametrize(
    ("relative", "container", "suffix", "target"),
    [
        ("a.mov", "mp4", "", "a.mp4"),
        ("season 1/e01/a.b.mkv", "mkv", "", "season 1/e01/a.b.mkv"),
        ("a.mov", "mp4", "_partial", "a_partial.mp4"),
        ("-dash.mov", "mp4", "", "-dash.mp4"),
        ("new\nline 'q\" ü\udcff.mov", "mp4", "", "new\nline 'q\" ü\udcff.mp4"),
    ],
)
def test_the_shape_of_the_source_is_kept(relative: str, container: str, suffix: str, target: str) -> None:
    assert target_for(OUT, relative, container, suffix) == OUT / target


@pytest.mark.parametrize("relative", ["../a.mp4", "a/../../b.mp4", "/etc/a.mp4", "", "."])
def test_nothing_leads_out(relative: str) -> None:
    with pytest.raises(BadInput):
        target_for(OUT, relative, "mp4")


@pytest.mark.parametrize("letter", ["x", "ü", "東", "\udcff"])
def test_long_names_fit_with_everything_added(letter: str, tmp_path: Path) -> None:
    room = 255 - len(".m")
    stem = letter * (room // len(os.fsencode(letter)))
    target = target_for(tmp_path, f"{stem}.m", "mp4", "_partial")
    second = list(islice(numbered(target.name), 12))[-1]
    for name in (target.name, second, OUTBOX.temporary_for(target, 1_000_000).name, fitted(stem, ".error.txt")):
        assert len(os.fsencode(name)) <= 255
        (tmp_path / name).write_bytes(b"")  # the file system agrees
    assert target.name.endswith("_partial.mp4")
    assert second.endswith("_partial (12).mp4") or second.endswith(" (12).mp4")


def test_numbers() -> None:
    assert list(islice(numbered("a.mp4"), 3)) == ["a.mp4", "a (2).mp4", "a (3).mp4"]
    assert list(islice(numbered("noext"), 2)) == ["noext", "noext (2)"]


def test_numbers_are_told_from_names_that_only_look_like_them() -> None:
    names = list(islice(numbered("a.b.txt"), 12))
    others = [
        "a.b (1).txt",
        "a.b (02).txt",
        "a.b (2).txt.txt",
        "a.b (-2).txt",
        "a (2).txt",
        "a.b(2).txt",
        "a.b (٢).txt",
    ]
    assert those_numbered([*others, *reversed(names)], "a.b.txt") == names
    assert those_numbered(others, "a.b.txt") == []
    long = "ü" * 120 + ".error.txt"
    names = list(islice(numbered(long), 12))
    assert those_numbered(reversed(names), long) == names


def test_temporaries_are_fresh_hidden_and_removed_by_job(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.mp4"
    mine = [OUTBOX.temporary_for(target, 12) for _ in range(2)]
    other = OUTBOX.temporary_for(target, 123)
    assert mine[0] != mine[1]
    for path in (*mine, other):
        assert path.parent == target.parent
        assert path.name.startswith(".flashvsr-")
        assert path.name.endswith(".mp4.part")
        path.write_bytes(b"x")
    assert OUTBOX.remove_temporaries(target.parent, 12) == 2
    assert list(target.parent.iterdir()) == [other]
