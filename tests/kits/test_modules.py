"""Kits and programs are where tests share things: no module imports a module of tests, in whichever process."""

from __future__ import annotations

import re

from kits.paths import TESTS

IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+(?:\w+\.)*(?:test_\w+|conftest)\b.*", re.M)


def test_nothing_imports_a_module_of_tests() -> None:
    found = [
        f"{path.relative_to(TESTS)}: {line}"
        for path in sorted(TESTS.rglob("*.py"))
        for line in IMPORT.findall(path.read_text())  # the programs within strings too
    ]
    assert found == []
