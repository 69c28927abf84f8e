"""Damaged, foreign or hostile weights are refused, with a message that names the file and says what to do."""

from __future__ import annotations

import os
import pickle
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from flashvsr.errors import BadConfig
from flashvsr.model.weight_files import DECODER_FILE, DIT_FILE, LQ_FILE, PROMPT_FILE, REQUIRED_FILES
from kits.models import (
    load,
    refusal,
)

WEB_PAGE = b"\n <!DOCTYPE html><html><body>404 Not Found</body></html>"
NOBODY = 65534


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    refusal(tmp_path / "nowhere", f"{tmp_path}/nowhere: there is no such weights folder", "weights fetch")


def test_an_empty_folder_lists_all_that_is_missing(tmp_path: Path) -> None:
    refusal(tmp_path, *(f"no file {name}" for name in REQUIRED_FILES), "weights fetch")


def test_a_missing_file(folder: Path) -> None:
    (folder / LQ_FILE).unlink()
    assert DIT_FILE not in refusal(folder, f"no file {LQ_FILE}")


@pytest.mark.parametrize("name", REQUIRED_FILES)
def test_a_web_page(folder: Path, name: str) -> None:
    (folder / name).write_bytes(WEB_PAGE)
    refusal(folder, f"{folder / name}: is a web page, not weights", "fetch or copy it again")


@pytest.mark.parametrize("name", REQUIRED_FILES)
def test_an_empty_file(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")
    refusal(folder, f"{folder / name}: is empty")


@pytest.mark.parametrize("name", REQUIRED_FILES)
def test_a_directory_instead_of_a_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    refusal(folder, f"no file {name}")


@pytest.mark.parametrize("name", REQUIRED_FILES)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97, 1.0])
def test_a_truncated_file(folder: Path, name: str, share: float) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: min(len(content) - 1, int(len(content) * share))])
    refusal(folder, str(folder / name), "again")


@pytest.mark.parametrize("name", REQUIRED_FILES)
@pytest.mark.parametrize("content", [bytes(5000), b"\x80\x04", b"just some notes\n" * 50, os.urandom(4096)])
def test_a_foreign_file(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    refusal(folder, str(folder / name), "again")


@pytest.mark.slow
@pytest.mark.parametrize("name", [LQ_FILE, DECODER_FILE, PROMPT_FILE])
def test_flipped_bytes_never_get_through_as_another_error(folder: Path, name: str) -> None:
    """Damage may surface anywhere in the unpickler; in a tensor's own bytes it does not surface at all."""
    content = (folder / name).read_bytes()
    generator = torch.Generator().manual_seed(1)
    messages = []
    # At both ends lie the pickled structure and the archive's directory, in between the numbers.
    for position in (torch.randint(-1500, 1500, (40,), generator=generator) % len(content)).tolist():
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        (folder / name).write_bytes(damaged)
        try:
            load(folder)
        except BadConfig as error:
            messages.append(str(error))
    assert messages
    assert all(str(folder / name) in message for message in messages)


class Payload:
    """Unpickling this creates a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("name", [LQ_FILE, DECODER_FILE, PROMPT_FILE])
@pytest.mark.parametrize("plain", [True, False], ids=["pickle", "torch.save"])
def test_code_in_a_pickle_is_not_run(folder: Path, tmp_path: Path, name: str, plain: bool) -> None:
    trace = tmp_path / "it ran"
    state = {"conv1.weight": torch.zeros(3), "payload": Payload(trace)}
    if plain:
        (folder / name).write_bytes(pickle.dumps(state))
    else:
        torch.save(state, folder / name)
    refusal(folder, f"{folder / name}: refused", "would run code", "from a source you trust")
    assert not trace.exists()
    with (folder / name).open("rb") as stream:  # the payload is a live one
        pickle.load(stream) if plain else torch.load(stream, weights_only=False)
    assert trace.exists()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ([torch.zeros(3)], "holds a list, expected a dictionary of tensors"),
        (torch.zeros(3), "holds a Tensor, expected a dictionary of tensors"),
        ({"state_dict": {"conv1.weight": torch.zeros(3)}}, "state_dict is a dict, expected a named tensor"),
        ({3: torch.zeros(3)}, "3 is a Tensor, expected a named tensor"),
        ({}, "conv1.weight is missing"),
        ({"conv1.weight": torch.zeros(8, 768)}, "conv1.weight has shape (8, 768), expected 5 dimensions"),
    ],
)
def test_another_kind_of_pickle(folder: Path, content: object, found: str) -> None:
    torch.save(content, folder / LQ_FILE)
    refusal(folder, f"{folder / LQ_FILE}: ", found)


def test_another_kind_of_prompt(folder: Path) -> None:
    torch.save({"prompt": torch.zeros(1, 4, 16)}, folder / PROMPT_FILE)
    refusal(folder, f"{folder / PROMPT_FILE}: holds a dict, expected one tensor")
    torch.save(torch.zeros(1, 4, 15), folder / PROMPT_FILE)
    refusal(folder, f"{folder / PROMPT_FILE}: the prompt has shape (1, 4, 15), expected (1, n, 16)")


def test_another_safetensors_file(folder: Path) -> None:
    save_file({"model.embed_tokens.weight": torch.zeros(4, 4)}, folder / DIT_FILE)
    refusal(folder, f"{folder / DIT_FILE}: patch_embedding.weight is missing", "another kind of file")


def test_files_under_each_others_names(folder: Path) -> None:
    lq, decoder = folder / LQ_FILE, folder / DECODER_FILE
    lq.rename(folder / "x")
    decoder.rename(lq)
    (folder / "x").rename(decoder)
    refusal(folder, f"{folder / LQ_FILE}: conv1.weight is missing")


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn])
def test_another_number_format_on_disk(folder: Path, dtype: torch.dtype) -> None:
    state = load_file(folder / DIT_FILE)
    save_file({key: value.to(dtype) for key, value in state.items()}, folder / DIT_FILE)
    refusal(folder, f"{folder / DIT_FILE}: ", "is in another number format", "and")


def test_a_wrong_shape_on_disk(folder: Path) -> None:
    state = load_file(folder / DIT_FILE)
    state["blocks.1.self_attn.k.weight"] = torch.zeros(128, 64)
    save_file(state, folder / DIT_FILE)
    refusal(folder, f"{folder / DIT_FILE}: blocks.1.self_attn.k.weight has shape (128, 64), expected (128, 128)")


@pytest.mark.parametrize("name", REQUIRED_FILES)
def test_a_file_that_may_not_be_read(sound_folder: Path, open_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(sound_folder, open_path / "weights"))
    (folder / name).chmod(0)
    with unprivileged(folder):
        refusal(folder, f"{folder / name}: cannot be read (Permission denied)", "let the user of the service")


def test_a_folder_that_may_not_be_entered(sound_folder: Path, open_path: Path) -> None:
    folder = Path(shutil.copytree(sound_folder, open_path / "weights"))
    folder.chmod(0)
    with unprivileged(folder):
        refusal(folder, "Permission denied", "let the user of the service")


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Be an ordinary user who can get as far as `folder`: root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    for place in (*list(folder.parents)[:3], *folder.iterdir()):
        if stat.S_IMODE(place.stat().st_mode) != 0:
            place.chmod(place.stat().st_mode | 0o055)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
