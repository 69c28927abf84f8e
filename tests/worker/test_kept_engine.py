"""The model that a worker keeps: loaded when it is first asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from flashvsr.errors import BadConfig, Interrupted, Transient
from flashvsr.settings.config import Config
from flashvsr.worker import kept_engine as module
from flashvsr.worker.kept_engine import KeptEngine
from kits.played import Upscaling


def asked(engine: KeptEngine) -> object:
    return engine.get(Config(), lambda _: None)


def refuse(error: Exception) -> Any:
    """An upscaling, played, whose loading fails."""

    def fail() -> None:
        raise error

    return Upscaling(at={"load": fail})


def test_a_loading_that_was_interrupted_is_no_problem() -> None:
    upscaling = refuse(Interrupted("the service stops"))
    engine = KeptEngine(upscaling)
    with pytest.raises(Interrupted):
        asked(engine)
    assert (engine.problem, engine.rests, engine.broken) == (None, False, False)
    upscaling.at.clear()
    assert asked(engine) is asked(engine)
    assert upscaling.engines == 1


def test_a_loading_that_failed_is_one_until_other_settings_are_tried() -> None:
    upscaling = refuse(BadConfig("the weights folder has no TCDecoder.ckpt"))
    engine = KeptEngine(upscaling)
    with pytest.raises(BadConfig):
        asked(engine)
    assert engine.problem == "the model cannot be loaded: the weights folder has no TCDecoder.ckpt"
    assert (engine.rests, engine.broken) == (True, False)
    engine.forget()
    state: tuple[str | None, bool] = engine.problem, engine.rests
    assert state == (None, False)


def test_what_loading_says_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    upscaling: Any = Upscaling()
    KeptEngine(upscaling).get(Config(), heard.append)
    assert heard == ["loading the model"]


@pytest.mark.parametrize(
    ("error", "problem", "broken", "raised"),
    [
        (BadConfig("no weights"), "no weights", False, BadConfig),
        (Transient("no network"), "no network", False, Transient),
        (RuntimeError("driver too old"), "driver too old", True, Transient),
        (MemoryError(), "MemoryError", True, Transient),
    ],
)
def test_what_failed_is_said_and_tried_again_in_a_minute(
    error: Exception, problem: str, broken: bool, raised: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [500.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    upscaling = refuse(error)
    engine = KeptEngine(upscaling)
    with pytest.raises(raised, match=problem if str(error) else None):
        asked(engine)
    assert (engine.problem, engine.broken) == (f"the model cannot be loaded: {problem}", broken)
    now[0] += 59
    rests = [engine.rests]
    now[0] += 2
    assert [*rests, engine.rests] == [True, False]
    upscaling.at.clear()
    assert asked(engine)
    assert engine.problem is None


def test_another_model_is_loaded_anew() -> None:
    upscaling: Any = Upscaling()
    engine = KeptEngine(upscaling)
    first = asked(engine)
    engine.forget()
    assert asked(engine) is not first
    assert upscaling.engines == 2
