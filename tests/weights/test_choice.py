"""Which weights a job uses, and whether they are there and sound."""

from __future__ import annotations

import argparse
import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.commands import weights as commands
from flashvsr.errors import BadConfig, Transient
from flashvsr.model.weight_files import DIT_FILE, PROMPT_FILE, REQUIRED_FILES
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Model
from flashvsr.weights.choice import NANO, OFFICIAL, Choice, choose, is_complete, nano_folder, verify


def filled(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in REQUIRED_FILES:
        (folder / name).write_bytes(b"x")
    return folder


def test_auto_depends_on_the_gpu(tmp_path: Path) -> None:
    model = Model()
    assert model.weights == "auto"
    assert choose(model, tmp_path, has_gpu=False) == Choice(NANO, nano_folder(), None, fetchable=False)
    assert choose(model, tmp_path, has_gpu=True) == Choice(OFFICIAL, tmp_path / OFFICIAL, None, fetchable=True)


@pytest.mark.parametrize("has_gpu", [True, False])
def test_a_name_is_a_name_on_any_machine(tmp_path: Path, has_gpu: bool) -> None:
    assert choose(Model(weights=NANO), tmp_path, has_gpu).folder == nano_folder()
    official = choose(Model(weights=OFFICIAL), tmp_path, has_gpu)
    assert official == Choice(OFFICIAL, tmp_path / OFFICIAL, None, fetchable=True)


def test_a_folder(tmp_path: Path) -> None:
    folder = filled(tmp_path / "tuned-v3")
    choice = choose(Model(weights=str(folder)), tmp_path / "models", has_gpu=False)
    assert choice == Choice("tuned-v3", folder, None, fetchable=False)
    missing = choose(Model(weights=str(tmp_path / "nowhere")), tmp_path, has_gpu=True)
    assert missing == Choice("nowhere", tmp_path / "nowhere", None, fetchable=False)


def test_the_models_directory_itself_may_hold_the_files(tmp_path: Path) -> None:
    filled(tmp_path)
    assert choose(Model(weights=OFFICIAL), tmp_path, has_gpu=True) == Choice(OFFICIAL, tmp_path, None, fetchable=True)
    filled(tmp_path / OFFICIAL)
    assert choose(Model(weights=OFFICIAL), tmp_path, has_gpu=True).folder == tmp_path / OFFICIAL


def test_a_folder_may_hold_the_official_folder(tmp_path: Path) -> None:
    filled(tmp_path / OFFICIAL)
    choice = choose(Model(weights=str(tmp_path)), Path("/nowhere"), has_gpu=True)
    assert choice == Choice(OFFICIAL, tmp_path / OFFICIAL, None, fetchable=False)


def test_the_prompt_goes_with_the_official_model_and_folders(tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.pth"
    for name, expected in ((OFFICIAL, prompt), (str(tmp_path), prompt), (NANO, None)):
        assert choose(Model(weights=name, prompt=prompt), tmp_path, has_gpu=True).prompt_file == expected


def test_complete_by_presence_and_size(tmp_path: Path) -> None:
    folder = filled(tmp_path / "weights")
    assert is_complete(folder)
    for name in REQUIRED_FILES:
        (folder / name).write_bytes(b"")
        assert not is_complete(folder), name
        (folder / name).unlink()
        assert not is_complete(folder), name
        (folder / name).mkdir()
        assert not is_complete(folder), name
        (folder / name).rmdir()
        (folder / name).write_bytes(b"x")
    assert not is_complete(tmp_path / "nowhere")
    assert not is_complete(folder / DIT_FILE)


def test_complete_with_a_prompt_elsewhere(tmp_path: Path) -> None:
    folder, prompt = filled(tmp_path / "weights"), tmp_path / "prompt.pth"
    assert not is_complete(folder, prompt)
    prompt.write_bytes(b"x")
    (folder / PROMPT_FILE).unlink()
    assert is_complete(folder, prompt)
    assert not is_complete(folder)


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        (errno.ESTALE, Transient, "check that the disk or share is there"),
        (errno.EACCES, BadConfig, "let the user"),
    ],
)
def test_a_folder_out_of_reach_is_not_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception], advice: str
) -> None:
    def stat(path: Path, **_: object) -> os.stat_result:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(kind, match=f"{os.strerror(number)}; {advice}"):
        is_complete(tmp_path)


def test_verify_finds_damage(tmp_path: Path) -> None:
    folder = filled(tmp_path / "weights")
    choice = choose(Model(weights=str(folder)), tmp_path, has_gpu=False)
    with pytest.raises(BadConfig, match=f"{folder / DIT_FILE}: is no complete safetensors file"):
        verify(choice)


@pytest.mark.skipif(not is_complete(nano_folder()), reason="the nano model is not trained yet")
def test_the_nano_model_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(choose(Model(weights=NANO), Path("/nowhere"), has_gpu=False)) == []
    size = sum(file.stat().st_size for file in nano_folder().iterdir())
    assert size < 20_000_000
    config = Config(model=Model(weights=NANO))
    assert commands.verify(config, argparse.Namespace()) == 0
    assert capsys.readouterr().out == f"nano: {nano_folder()} is complete and fits\n"


def test_the_command_refuses_what_does_not_fit(tmp_path: Path) -> None:
    config = Config(model=Model(weights=str(filled(tmp_path / "weights"))))
    with pytest.raises(BadConfig, match="no complete safetensors file"):
        commands.verify(replace(config), argparse.Namespace())


def test_choosing_does_not_load_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from flashvsr.weights import choice as weights;"
        "from flashvsr.settings.processing_tables import Model;"
        "weights.choose(Model(), Path('/nowhere'), True);"
        "weights.is_complete(weights.nano_folder());"
        "print([name for name in ('torch', 'modelscope', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
