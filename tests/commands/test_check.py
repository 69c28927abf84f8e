"""What `flashvsr check` says of folders that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashvsr.commands import check


@pytest.mark.parametrize("place", ["state", "state/below"])
def test_a_file_in_the_place_of_a_folder(place: str, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("something else")
    (finding,) = check._folder("state", tmp_path / place)
    assert finding.problem == f"{tmp_path / 'state'} is a file; move it away, or name another directory"


def test_a_folder_that_will_be_made(tmp_path: Path) -> None:
    (finding,) = check._folder("outbox", tmp_path / "out" / "clips")
    assert finding.subject == f"outbox {tmp_path / 'out' / 'clips'}"
    assert (finding.problem or finding.note).endswith((", will be created", "make room"))
