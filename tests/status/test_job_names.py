"""What jobs are called where people read of several."""

from __future__ import annotations

from pathlib import PurePath

import pytest
from rich.cells import cell_len

from flashvsr.status.job_names import JobName, cut, inbox_names, job_names, shortened
from flashvsr.status.snapshot import InboxState
from kits.snapshots import INBOX, job, snapshot


def test_results_of_several_inboxes_do_not_look_alike() -> None:
    jobs = [job(number, inbox=inbox) for number, inbox in ((1, "/srv/in/a"), (2, "/srv/in/b"), (3, "/mnt/in/b"))]
    names = job_names(snapshot(jobs=jobs))
    assert [str(names[number]) for number in (1, 2, 3)] == ["a/clip.mp4", "srv/in/b/clip.mp4", "mnt/in/b/clip.mp4"]


def test_inboxes_without_jobs_count_too() -> None:
    inboxes = [InboxState(INBOX / "a"), InboxState(INBOX.parent / "other" / "a")]
    assert str(job_names(snapshot(jobs=[job()], inboxes=inboxes))[1]) == "inbox/a/clip.mp4"


def test_one_inbox_below_another_and_one_path_in_two_spellings() -> None:
    assert inbox_names(["/a", "/b/a"]) == {"/a": "/a", "/b/a": "b/a"}
    assert inbox_names(["/b/a", "/b//a"]) == {"/b/a": "/b/a", "/b//a": "/b/a"}
    assert inbox_names(["/"]) == {"/": "/"}


def test_names_of_any_bytes_are_visible() -> None:
    (name,) = job_names(snapshot(jobs=[job(1, name="sub/caf\udce9\n.mp4")])).values()
    assert str(name) == "a/sub/caf\\xe9\\n.mp4"


@pytest.mark.parametrize("width", range(1, 40))
def test_a_long_name_loses_its_middle(width: int) -> None:
    name = "Grandmother's birthday at the lake, part two.mp4"
    short = shortened(name, width)
    assert cell_len(short) == width
    head, dots, tail = short.partition("…")
    assert dots
    assert name.startswith(head)
    assert name.endswith(tail)


@pytest.mark.parametrize("width", range(1, 12))
def test_no_escape_and_no_wide_character_is_cut_apart(width: int) -> None:
    for text in ("\\xe9" * 6, "東京物語" * 3):
        for short in (shortened(text, width), cut(text, width)):
            assert cell_len(short) <= width
            assert all(part in ("", "\\xe9" * (len(part) // 4)) or part[0] in text for part in short.split("…"))
            assert "\\x…" not in short


def test_what_fits_is_left_alone() -> None:
    assert shortened("clip.mp4", 8) == cut("clip.mp4", 8) == "clip.mp4"
    assert cut("clip.mp4", 5) == "clip…"
    assert JobName("a", "clip.mp4").fitted(10) == "a/clip.mp4"


@pytest.mark.parametrize("width", range(14, 40))
def test_inbox_and_file_are_both_told(width: int) -> None:
    name = JobName("old tapes from the attic", "DSC_0001 the second evening.mp4")
    inbox, file = PurePath(name.fitted(width)).parts
    assert cell_len(f"{inbox}/{file}") <= width
    assert inbox[0] == "o"
    assert file[-1] == "4"
    short = JobName("attic", "DSC_0001 the second evening.mp4").fitted(24)
    assert short.startswith("attic/DSC")
    assert cell_len(short) == 24
