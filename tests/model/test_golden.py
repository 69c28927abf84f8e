"""The model agrees with the reference implementation's tensors."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

import golden
from kits.golden_cases import compare
from kits.paths import TESTS

FILES = sorted((TESTS / "data" / "golden").glob("*.safetensors"))


def test_all_four_files_are_here() -> None:
    assert [file.stem for file in FILES] == ["color", "defaults", "sparse", "wide"]


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_agrees(file: Path) -> None:
    results = compare(file)
    assert results
    assert not [result for result in results if not result.ok]


def test_the_program_fails_on_a_deviating_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = TESTS / "data" / "golden" / "color.safetensors"
    with safe_open(source, "pt") as opened:
        tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
        metadata = opened.metadata()
    tensors["adain"][0, 0, 0, 0] += 3e-4 * tensors["adain"].std()
    save_file(tensors, tmp_path / "deviating.safetensors", metadata)

    def run(*files: Path) -> int:
        monkeypatch.setattr(sys, "argv", ["golden.py", *map(str, files)])
        return golden.main()

    assert run(source) == 0
    assert "TOO FAR" not in capsys.readouterr().out
    assert run(source, tmp_path / "deviating.safetensors") == 1
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines() if "TOO FAR" in line] == ["adain"]
