"""`flashvsr plan FILE…`: what the service would make of a video, and how long that takes. Changes nothing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flashvsr.commands.say import say_json, say_lines
from flashvsr.commands.screen import Screen
from flashvsr.errors import BadConfig, FlashVSRError, NoSpace
from flashvsr.files.space import check_room
from flashvsr.files.state import StateDirectory
from flashvsr.jobs.backends.sqlite.database_file import is_empty
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Rate
from flashvsr.settings.config import Config
from flashvsr.settings.preset import PRESET_NAME, Preset, load_preset, override
from flashvsr.status.estimate import Estimate, estimate, estimate_text, span_text
from flashvsr.status.named_rows import Row, row_lines
from flashvsr.status.words import size_text
from flashvsr.system.devices import Slot, discover
from flashvsr.system.text import printable
from flashvsr.weights import choice as weights

if TYPE_CHECKING:
    from flashvsr.upscaling.forecast import Forecast
    from flashvsr.upscaling.forecaster import Forecaster

_MIB, _GIB = 1 << 20, 1 << 30


def run(config: Config, options: argparse.Namespace) -> int:
    """Print what would be made of each file; exit code 1 if one of them cannot be looked at."""
    from flashvsr.upscaling.forecaster import Forecaster
    from flashvsr.upscaling.largest import largest_result

    slot = discover(config.gpu.devices, config.gpu.max_concurrent)[0]
    model = weights.choose(config.model, config.paths.models, has_gpu=slot.memory is not None).name
    largest = largest_result(slot.memory, fused=config.model.attention != "torch")
    rates = _rates(config)
    forecaster = Forecaster(largest)
    screen = Screen()
    found: list[dict[str, Any]] = []
    failed = False
    try:
        for path in options.files:
            told = _Told(config, path.resolve(), slot, model, rates)
            try:
                preset, inbox = _preset(config, path.resolve(), options)
                told.look(forecaster, preset, inbox)
            except FlashVSRError as error:
                failed = True
                told.problem = str(error)
            found.append(told.facts())
            if not options.json:
                say_lines(told.lines(screen.columns))
    finally:
        forecaster.close()
    if options.json:
        say_json({"files": found})
    return int(failed)


class _Told:
    """What is known about one file by now."""

    def __init__(self, config: Config, path: Path, slot: Slot, model: str, rates: Sequence[Rate]) -> None:
        self._config = config
        self._path = path
        self._slot = slot
        self._model = model
        self._rates = rates
        self._preset: Preset | None = None
        self._forecast: Forecast | None = None
        self._time: Estimate | None = None
        self.problem = ""
        self.waits = ""

    def look(self, forecaster: Forecaster, preset: Preset, outbox: Path | None) -> None:
        """Look into the file. Raises what keeps that from being done."""
        self._preset = preset
        made = self._forecast = forecaster(self._path, preset, self._config)
        if made.model is None or made.frames is None:
            return
        gpu = self._slot.memory is not None
        self._time = estimate(made.frames, made.model, self._rates, self._slot.label, self._model, gpu=gpu)
        try:
            needs = [(self._config.paths.state, made.size or 0), (outbox or self._config.paths.outbox, made.size or 0)]
            check_room(self._config.trees(), needs, self._config.queue.min_free)
        except NoSpace as error:
            self.waits = str(error)

    def facts(self) -> dict[str, Any]:
        """For programs."""
        told: dict[str, Any] = {"file": printable(self._path), "device": self._slot.label, "weights": self._model}
        told["forecast"] = None if self._forecast is None else asdict(self._forecast)
        told["time"] = None if self._time is None else asdict(self._time)
        return told | {"waits": self.waits or None, "problem": self.problem or None}

    def lines(self, width: int | None) -> list[str]:
        """For people. `width`: columns of the terminal, to which long texts are wrapped; None: they are not."""
        return [printable(self._path), *row_lines(self._rows(), width, indent="  ")]

    def _rows(self) -> list[Row]:
        if self._forecast is None or self._preset is None:
            return [("problem", self.problem)]
        made, preset = self._forecast, self._preset
        frames = "frames: not told by the file" if made.frames is None else f"{made.frames} frames"
        length = f", {span_text(made.seconds)}" if made.seconds else ""
        rows = [("source", f"{size_text(made.source)}, {made.codec}, {made.rate:.4g} frames/s{length}, {frames}")]
        if made.result is None:
            return [*rows, ("skipped", made.skipped), ("refused", made.refused)]
        size = f", about {_bytes(made.size)}" if made.size else ""
        rows.append(("result", f"{size_text(made.result)}, {preset.codec} in {preset.container}{size}"))
        rows.append(("time", self._time_text()))
        rows.append(("tracks", f"{_number(made.audio, 'sound')}, {_number(made.subtitles, 'subtitle')}"))
        rows += [("note", remark) for remark in made.remarks]
        return [*rows, ("waits", self.waits)]

    def _time_text(self) -> str:
        if self._time is None:
            return "not known, as the file does not tell its frames"
        where = f"on {self._slot.label} with {self._model}"
        basis = {
            "measured": "as measured here",
            "near": "reckoned from what was measured here with another size",
            "guessed": "a guess: nothing like it was measured here yet",
        }[self._time.basis]
        return f"{estimate_text(self._time)} {where}; {basis}"


def _preset(config: Config, path: Path, options: argparse.Namespace) -> tuple[Preset, Path | None]:
    """The preset that the file would be done with, and the outbox, where it lies in an inbox."""
    quality = config.export.quality
    inbox = next((inbox for inbox in config.inboxes() if path.is_relative_to(inbox.path.resolve())), None)
    if options.preset is not None:
        preset = load_preset(config.trees(), options.preset, quality)
    elif inbox is not None and config.trees().exists(inbox.path / PRESET_NAME):
        try:
            preset = load_preset(config.trees(), inbox.path / PRESET_NAME, quality)
        except BadConfig as error:
            raise BadConfig("it would be held, as the preset of its inbox has errors:", *error.lines) from error
    else:
        preset = Preset(quality=quality)
    return override(preset, options.assignments), None if inbox is None else inbox.outbox


def _rates(config: Config) -> Sequence[Rate]:
    """What was measured here; nothing where there is no queue yet, or none that may be read."""
    try:
        if is_empty(StateDirectory(config.paths.state).database):
            return ()
        queue = Queue(config.paths.state)
    except (FlashVSRError, OSError):
        return ()
    try:
        return queue.rates.all()
    finally:
        queue.close()


def _bytes(size: int) -> str:
    return (
        f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{max(0.1, size / _MIB):.{0 if size >= 10 * _MIB else 1}f} MiB"
    )


def _number(count: int, what: str) -> str:
    return f"{count or 'no'} {what} track{'' if count == 1 else 's'}"
