"""What an engine computes in and with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from flashvsr.errors import BadConfig
from flashvsr.model.attention_choice import Chosen
from flashvsr.model.stream import StreamOptions
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Model
from flashvsr.upscaling import engine
from flashvsr.upscaling.savings import PLENTY
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


@pytest.mark.parametrize("precision", ["int8", "fp8"])
@pytest.mark.parametrize("attention", ["torch", "triton"])
def test_eight_bits_are_refused_where_the_kernels_do_not_go(
    monkeypatch: pytest.MonkeyPatch, attention: str, precision: str
) -> None:
    monkeypatch.setattr(engine, "choose_attention", lambda *_: Chosen(cast(Any, attention)))
    with pytest.raises(
        BadConfig, match=rf'"{precision}" works only with the fast kernels, and .*\. Set model\.precision = "auto"'
    ):
        engine.engine_for(formula_model(TINY), "tiny", Config(model=Model(precision=precision)))


def test_kernels_that_do_not_fit_the_model_are_refused_if_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "choose_attention", lambda *_: Chosen("triton"))
    with pytest.raises(BadConfig, match='"triton" does not go with this model: it computes in float32'):
        engine.engine_for(formula_model(TINY), "tiny", Config(model=Model(attention="triton")))
    assert engine.engine_for(formula_model(TINY), "tiny", Config()).fused is None


def identity(name: str = "a", widths: tuple[int, ...] = (3, 4), dtype: torch.dtype = torch.float32,
             precision: str | None = None) -> str:  # fmt: skip
    """Of an engine of such a model; `precision`: how its kernels compute, None where it has none."""
    model: Any = SimpleNamespace(dtype=dtype, parameters=lambda: iter([torch.zeros(width) for width in widths]))
    fused: Any = None if precision is None else SimpleNamespace(precision=precision)
    return engine.Engine(model, name, "label", fused).identity


def test_frames_of_unlike_engines_are_not_joined() -> None:
    """Those that differ only in what is done for speed, or to save memory, may be."""
    others = [identity("b"), identity(widths=(3, 5)), identity(dtype=torch.bfloat16)]
    others += [identity(precision="int8"), identity(precision="fp8")]
    assert len({identity(), *others}) == 6
    assert identity() == identity(widths=(4, 3)) == identity(precision="auto")


class Loading:
    """What loading an engine asks of the other parts; `log` is what was done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, fetchable: bool, complete: bool) -> None:
        self.log: list[object] = []
        folder, prompt = Path("weights"), Path("prompt")
        choice = weights.Choice("tiny", folder, prompt, fetchable)
        made = SimpleNamespace(model=formula_model(TINY), notes=())

        def load_model(*given: object) -> SimpleNamespace:
            self.log.append(given)
            return made

        def choose(*_: object, has_gpu: bool) -> weights.Choice:
            self.log.append(f"gpu: {has_gpu}")
            return choice

        def fetch(_models: Path, say: Callable[[str], None]) -> None:
            self.log.append("fetched")
            say("half")

        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(engine, "keep_freed_memory", lambda: None)
        monkeypatch.setattr(engine, "load_model", load_model)
        monkeypatch.setattr(weights, "choose", choose)
        monkeypatch.setattr(weights, "is_complete", lambda *given: complete and given == (folder, prompt))
        monkeypatch.setattr(weights, "fetch", fetch)
        self.loaded = (folder, torch.device("cpu"), torch.float32, prompt)


@pytest.mark.parametrize(
    ("fetchable", "complete", "fetched"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_only_what_is_missing_and_can_be_had_is_fetched(
    fetchable: bool, complete: bool, fetched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading, said = Loading(monkeypatch, fetchable=fetchable, complete=complete), list[str]()
    made = engine.load_engine(Config(), said.append)
    assert loading.log == ["gpu: False", *(["fetched"] if fetched else []), loading.loaded]
    assert said == (["half"] if fetched else [])
    assert (made.name, made.label, made.thrift) == ("tiny", "CPU", PLENTY)


def test_another_number_format_may_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    loading = Loading(monkeypatch, fetchable=False, complete=True)
    engine.load_engine(Config(), lambda _: None, torch.bfloat16)
    assert loading.log[-1] == (*loading.loaded[:2], torch.bfloat16, loading.loaded[3])


def test_who_computes_in_float32_gets_all_of_its_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    engine.engine_for(formula_model(TINY), "tiny", Config())
    assert not torch.backends.cudnn.allow_tf32


def test_the_stream_is_that_of_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes are (width, height) here, and (height, width) in the model."""
    options = StreamOptions(seed=7)
    made = engine.engine_for(formula_model(TINY), "tiny", Config()).stream((256, 128), options, 5)
    spec = made.stages.spec
    assert (spec.width, spec.height, spec.options, spec.origin) == (256, 128, options, 5)
