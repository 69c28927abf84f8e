"""What `flashvsr check` says of folders that cannot be used."""

from __future__ import annotations

from pathlib import Path

from flashvsr.commands import check


def test_a_folder_that_will_be_made(tmp_path: Path) -> None:
    (finding,) = check._folder("outbox", tmp_path / "out" / "clips")
    assert finding.subject == f"outbox {tmp_path / 'out' / 'clips'}"
    assert (finding.problem or finding.note).endswith((", will be created", "make room"))
