from __future__ import annotations

from pathlib import Path

from flashvsr.inbox.scan_problems import ScanProblems
from flashvsr.system.text import NAME, from_printable

INBOX = Path("/srv/in")


def test_one_file_stands_for_all_with_the_same_reason() -> None:
    found = ScanProblems()
    found.add(INBOX, "no preset")
    for name in ("a.txt", "b.txt"):
        found.count(INBOX, "no videos", name)
    found.count(INBOX, "empty", "c.mp4")
    assert found.texts() == {INBOX: "no preset; no videos: 2 files, for example a.txt; empty: c.mp4"}


def test_an_example_is_short_and_none_of_its_escapes_is_cut() -> None:
    found = ScanProblems()
    found.count(INBOX, "empty", "\udce9" * 250 + ".mp4")
    (text,) = found.texts().values()
    example = text.removeprefix("empty: ")
    assert len(example) <= NAME
    assert example.endswith(".mp4"), "what kind of file it is can be told"
    head, _, tail = example.partition("… (")
    assert set(from_printable(head)) == {"\udce9"}
    assert set(from_printable(tail.partition(" characters) …")[2].removesuffix(".mp4"))) == {"\udce9"}
