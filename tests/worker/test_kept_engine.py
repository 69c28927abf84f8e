"""The model that a worker keeps: loaded when it is first asked for."""

from __future__ import annotations

from typing import Any

import pytest

from flashvsr.errors import BadConfig, Interrupted
from flashvsr.settings.config import Config
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
