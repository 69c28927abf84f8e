"""Which kernel computes the attention, by setting and machine."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
import torch

from flashvsr.errors import BadConfig
from flashvsr.model import attention_choice
from flashvsr.model.attention_choice import Capability, Chosen, attention_for, choose_attention
from flashvsr.settings.processing_tables import ATTENTIONS
from kits.commands import called


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that has triton, what it needs, and the extension."""
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    monkeypatch.setenv("CC", "cc")
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
    assert attention_for(setting, capability) == Chosen(cast(Any, expected))


@pytest.mark.usefixtures("complete")
@pytest.mark.parametrize("setting", ["triton", "block_sparse_attn"])
def test_what_needs_a_gpu_is_refused_without_one(setting: str) -> None:
    with pytest.raises(BadConfig, match=rf'model.attention = "{setting}" needs a GPU .* there is none; set "auto"'):
        choose_attention(setting, torch.device("cpu"))
    with pytest.raises(BadConfig, match=r"this one has 7\.5"):
        attention_for(setting, (7, 5))


@pytest.mark.usefixtures("complete")
def test_the_gpu_itself_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_choice, "find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, device.index))
    assert choose_attention("auto", torch.device("cuda:1")) == Chosen("triton")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    assert choose_attention("auto", torch.device("cuda:0")) == Chosen("torch")


def _without_triton(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(attention_choice, "find_spec", lambda _name: None)
    return "the package triton is missing"


def _without_compiler(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    return "no C compiler, which Triton needs; install gcc"


def _without_headers(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: "/nowhere")
    return "header files are missing, which Triton needs; install python3-dev"


@pytest.mark.usefixtures("complete")
@pytest.mark.parametrize("take_away", [_without_triton, _without_compiler, _without_headers])
def test_what_the_kernels_lack_is_not_made_up_for_in_silence(
    monkeypatch: pytest.MonkeyPatch, take_away: Callable[[pytest.MonkeyPatch], str]
) -> None:
    lacking = take_away(monkeypatch)
    with pytest.raises(BadConfig, match=f'"triton" cannot be used: .*{lacking}'):
        attention_for("triton", (9, 0))
    chosen = attention_for("auto", (9, 0))
    assert chosen.attention == "torch"
    assert re.search(f"many times slower.*{lacking}", str(chosen.note))
    assert attention_for("auto", None) == Chosen("torch"), "without a GPU there is nothing to note"


@pytest.mark.usefixtures("complete")
def test_a_missing_extension_is_told_with_the_way_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "block_sparse_attn", None)
    with pytest.raises(BadConfig, match="third_party/install_block_sparse_attn"):
        attention_for("block_sparse_attn", (9, 0))


@pytest.mark.usefixtures("complete")
def test_the_extension_is_refused_for_float32() -> None:
    with pytest.raises(BadConfig, match="computes in float32"):
        attention_for("block_sparse_attn", (9, 0), torch.float32)
    assert attention_for("auto", (9, 0), torch.float32) == Chosen("triton")


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("auto", "OK    attention: torch on CPU"),
        ("block_sparse_attn", 'TODO  attention: model.attention = "block_sparse_attn" needs a GPU'),
    ],
)
def test_check_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], setting: str, line: str
) -> None:
    settings = tmp_path / "flashvsr.toml"
    settings.write_text(f'[gpu]\ndevices = "cpu"\n[model]\nattention = "{setting}"\n')
    for name in [name for name in os.environ if name.startswith("FLASHVSR_")]:
        monkeypatch.delenv(name)
    done = called(capsys, "check", "--config", settings)
    assert line in done.stdout, done.stdout + done.stderr
