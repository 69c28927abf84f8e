"""What an errno means is known in one place: elsewhere code may ask for a single one, to decide what it does next."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import flashvsr

ROOT = Path(flashvsr.__file__).parent
SORTED = {
    "files/advice.py": "the one place",
    "inbox/hints.py": "the limits of inotify, each with its sysctl",
}


def sorted_errnos(source: str) -> Iterator[str]:
    """The places of a module that put several errnos together."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Set | ast.Tuple | ast.List | ast.Dict):
            members = node.keys if isinstance(node, ast.Dict) else node.elts
            if sum(isinstance(one, ast.Attribute) and ast.unparse(one.value) == "errno" for one in members) > 1:
                yield f"line {node.lineno}: {ast.unparse(node)}"


def test_errnos_are_sorted_in_one_place() -> None:
    sources = {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in ROOT.rglob("*.py")}
    found = {file: list(sorted_errnos(source)) for file, source in sources.items()}
    assert {file for file, places in found.items() if places} == SORTED.keys(), found


@pytest.mark.parametrize(
    "line", ["{errno.EIO, errno.ENOENT}", "error.errno in (errno.EIO, errno.EPERM)", "{errno.EIO: 1, errno.EPERM: 2}"]
)
def test_sorting_is_found(line: str) -> None:
    assert len(list(sorted_errnos(line))) == 1


@pytest.mark.parametrize("line", ["error.errno == errno.EXDEV", "OSError(errno.EIO, 'x')", "FULL | {errno.EXDEV}"])
def test_a_single_one_is_not(line: str) -> None:
    assert list(sorted_errnos(line)) == []
