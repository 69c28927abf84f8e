"""Which kernel computes the attention, by setting and machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from flashvsr.errors import BadConfig
from flashvsr.model import attention_choice
from flashvsr.model.attention_choice import Capability, attention_for, choose_attention
from flashvsr.settings.processing_tables import ATTENTIONS


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has triton and the extension."""
    monkeypatch.setattr(attention_choice, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "block_sparse_attn", ModuleType("block_sparse_attn"))


@pytest.mark.usefixtures("complete")
@pytest.mark.parametrize(
    ("setting", "capability", "expected"),
    [
        ("auto", None, "torch"),
        ("auto", (7, 5), "torch"),
        ("auto", (8, 0), "triton"),
        ("auto", (12, 0), "triton"),
        ("triton", (8, 6), "triton"),
        ("block_sparse_attn", (9, 0), "block_sparse_attn"),
        ("torch", None, "torch"),
        ("torch", (9, 0), "torch"),
    ],
)
def test_the_setting_meets_the_machine(setting: str, capability: Capability | None, expected: str) -> None:
    assert setting in ATTENTIONS
    assert attention_for(setting, capability) == expected


@pytest.mark.usefixtures("complete")
@pytest.mark.parametrize("setting", ["triton", "block_sparse_attn"])
def test_what_needs_a_gpu_is_refused_without_one(setting: str) -> None:
    with pytest.raises(BadConfig, match=rf'model.attention = "{setting}" needs a GPU .* there is none; set "auto"'):
        choose_attention(setting, torch.device("cpu"))
    with pytest.raises(BadConfig, match=r"this one has 7\.5"):
        attention_for(setting, (7, 5))


def test_the_gpu_itself_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_choice, "find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, device.index))
    assert choose_attention("auto", torch.device("cuda:1")) == "triton"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    assert choose_attention("auto", torch.device("cuda:0")) == "torch"


@pytest.mark.parametrize("setting", ["auto", "triton"])
def test_a_missing_triton_is_not_made_up_for_in_silence(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setattr(attention_choice, "find_spec", lambda _name: None)
    with pytest.raises(BadConfig, match=f'"{setting}" needs the package triton'):
        attention_for(setting, (9, 0))


def test_a_missing_extension_is_told_with_the_way_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "block_sparse_attn", None)
    with pytest.raises(BadConfig, match="third_party/install_block_sparse_attn"):
        attention_for("block_sparse_attn", (9, 0))


@pytest.mark.usefixtures("complete")
def test_the_extension_is_refused_for_float32() -> None:
    with pytest.raises(BadConfig, match="computes in float32"):
        attention_for("block_sparse_attn", (9, 0), torch.float32)
    assert attention_for("auto", (9, 0), torch.float32) == "triton"


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("auto", "OK    attention: torch on CPU"),
        ("block_sparse_attn", 'TODO  attention: model.attention = "block_sparse_attn" needs a GPU'),
    ],
)
def test_check_names_it(tmp_path: Path, setting: str, line: str) -> None:
    settings = tmp_path / "flashvsr.toml"
    settings.write_text(f'[gpu]\ndevices = "cpu"\n[model]\nattention = "{setting}"\n')
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLASHVSR_")}
    command = [sys.executable, "-m", "flashvsr", "check", "--config", str(settings)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert line in done.stdout, done.stdout + done.stderr
