"""The names below the state directory are declared once: nobody but `StateDirectory` joins one to its path."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import flashvsr
from flashvsr.files.state import StateDirectory

ROOT = Path(flashvsr.__file__).parent
OWNER = "files/state.py"
STATE = StateDirectory(Path("/state"))
STAMP, JOB = "?", 0
# With what differs between two of a kind cut off: "queue.db", "queue.damaged-", ".ending".
NAMES = frozenset(
    part
    for path in (
        STATE.lock,
        STATE.database,
        STATE.building,
        STATE.rebuilt(STAMP),
        STATE.aside(STAMP),
        STATE.records,
        STATE.damaged_records,
        STATE.jobs,
        STATE.ending(JOB),
        STATE.archive,
        STATE.mounts,
        STATE.service,
        STATE.worker_settings,
    )
    for part in path.name.replace(str(JOB), STAMP).split(STAMP)
    if "." in part and part != ".db"
)
_JOINING = frozenset({"joinpath", "glob", "rglob", "with_name"})


def joined(source: str) -> Iterator[str]:
    """Each place of a module that makes a name below the state directory."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _is_state(node.left):
            yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in _JOINING and _is_state(node.func.value):
                yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Constant) and node.value in NAMES:
            yield f"line {node.lineno}: {node.value!r}"


def _is_state(node: ast.expr) -> bool:
    text = ast.unparse(node)
    return text.endswith(("state", "state.path", "queue.path.parent")) or text.startswith("StateDirectory(")


def test_nobody_else_joins_a_name_to_the_state_directory() -> None:
    sources = {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in ROOT.rglob("*.py")}
    assert sources.pop(OWNER)
    found = [f"{file}, {place}" for file, source in sources.items() for place in joined(source)]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "state / 'x'",
        "self._config.paths.state / name",
        "queue.state.path / 'x'",
        "StateDirectory(state).path / 'x'",
        "queue.path.parent / 'x'",
        "state.joinpath('x')",
        "state.glob('queue.damaged-*')",
        "place / 'mounts.json'",
        "f'{job}.ending'",
        "f'queue.damaged-{stamp}.db'",
    ],
)
def test_a_join_is_found(line: str) -> None:
    assert len(list(joined(line))) == 1


@pytest.mark.parametrize("line", ["outbox / 'x'", "on_success == 'archive'", "StateDirectory(state).database"])
def test_other_things_are_not(line: str) -> None:
    assert list(joined(line)) == []


def test_the_names_of_job_folders_are_read_as_they_are_made() -> None:
    assert [STATE.job_of(path.name) for path in (STATE.job(41), STATE.ending(41))] == [41, 41]
    assert [STATE.job_of(name) for name in ("", "x", "4a", "41.tmp", "٤١", ".ending")] == [None] * 6


def test_stamps_are_read_as_they_are_made() -> None:
    assert [STATE.stamp_of(path) for path in (STATE.rebuilt("7-2"), STATE.aside("7-2"))] == ["7-2", "7-2"]
    assert STATE.is_aside(STATE.aside("7").name)
    assert not STATE.is_aside(STATE.rebuilt("7").name)
