"""The first look at a source: what it is, and whether it can be done at all. It needs neither model nor torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flashvsr.settings.config import Config
from flashvsr.upscaling.budgets import limits_of, own_threads, room_needed
from flashvsr.upscaling.control import Control
from flashvsr.upscaling.prober import prober_for
from flashvsr.upscaling.task import Task
from flashvsr.video.allocations import bound_allocations, largest_block
from flashvsr.video.encode import EncoderSettings, VideoEncoder, open_encoder, output_format
from flashvsr.video.geometry import Geometry
from flashvsr.video.geometry import plan as geometry_of
from flashvsr.video.probe import SourceInfo


@dataclass(frozen=True)
class Seen:
    """The facts of a source, every size on the way, and the encoder that works for the result."""

    source: SourceInfo
    geometry: Geometry
    encoder: VideoEncoder


def first_look(task: Task, config: Config, control: Control) -> Seen:
    """Look at the source, at the room for the result and at its encoder. Writes nothing.

    Raises:
        BadInput: the source cannot be processed.
        BadConfig: no encoder works for it.
        Skipped: it is as large already as its result may be.
        Transient: the file system or a share is in the way, or there is too little room.
        Whatever `control` raises.
    """
    limits = limits_of(config)
    info = prober_for(config).probe(task.trees, task.source, limits, control.working, task.preset.seconds)
    geometry = geometry_of(info.width, info.height, task.preset, force=task.force)
    sizes = ((info.width, info.height), geometry.scaled, geometry.output)
    bound_allocations(largest_block(limits.memory, *map(math.prod, sizes)))
    # Before the work: hours of it for an outbox out of reach would be a pity.
    control.check_outbox()
    control.check_room(
        room_needed(task.workdir, task.target.parent, task.preset.quality, info, geometry, config.preprocess)
    )
    return Seen(info, geometry, encoder_for(info, geometry, task, config))


def encoder_for(picture: SourceInfo, geometry: Geometry, task: Task, config: Config) -> VideoEncoder:
    """Open the encoder of a result whose picture is decoded from this. Raises BadConfig where none works."""
    preset = task.preset
    settings = EncoderSettings(preset.codec, preset.encoder, preset.quality, own_threads(config))
    return open_encoder(settings, output_format(picture, geometry.output))
