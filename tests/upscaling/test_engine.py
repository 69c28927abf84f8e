"""What an engine computes in and with."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch

from flashvsr.errors import BadConfig
from flashvsr.model.attention_choice import Chosen
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Model
from flashvsr.upscaling import engine
from flashvsr.weights import choice as weights
from kits.golden_cases import formula_model
from kits.models import TINY


@pytest.mark.parametrize(
    ("device", "capability", "name", "expected"),
    [
        ("cuda:0", (9, 0), weights.OFFICIAL, torch.bfloat16),
        ("cuda:0", (8, 0), "a folder", torch.bfloat16),
        ("cuda:0", (7, 5), weights.OFFICIAL, torch.float32),
        ("cuda:0", (9, 0), weights.NANO, torch.float32),
        ("cpu", (0, 0), weights.NANO, torch.float32),
    ],
)
def test_bfloat16_is_for_large_models_on_gpus_that_have_it(
    monkeypatch: pytest.MonkeyPatch, device: str, capability: tuple[int, int], name: str, expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert engine._dtype(torch.device(device), name) == expected


def test_what_makes_an_engine_slow_is_told_and_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine, "choose_attention", lambda *_: Chosen("torch", "no compiler here"))
    made = engine.engine_for(formula_model(TINY), "tiny", Config())
    assert made.note == "no compiler here"
    assert made.fused is None
    assert "no compiler here" in caplog.text


@pytest.mark.parametrize("attention", ["torch", "triton"])
def test_eight_bits_are_refused_where_the_kernels_do_not_go(monkeypatch: pytest.MonkeyPatch, attention: str) -> None:
    monkeypatch.setattr(engine, "choose_attention", lambda *_: Chosen(cast(Any, attention)))
    with pytest.raises(
        BadConfig, match=r'"fp8" works only with the fast kernels, and .*\. Set model\.precision = "auto"'
    ):
        engine.engine_for(formula_model(TINY), "tiny", Config(model=Model(precision="fp8")))


def test_kernels_that_do_not_fit_the_model_are_refused_if_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "choose_attention", lambda *_: Chosen("triton"))
    with pytest.raises(BadConfig, match='"triton" does not go with this model: it computes in float32'):
        engine.engine_for(formula_model(TINY), "tiny", Config(model=Model(attention="triton")))
    assert engine.engine_for(formula_model(TINY), "tiny", Config()).fused is None
