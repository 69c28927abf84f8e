"""From pictures in host memory through a model to pictures in host memory, by the worker's own steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor

from flashvsr.preset import Preset
from flashvsr.video.decode import Rgb
from flashvsr.video.geometry import Size, plan
from flashvsr.worker.engine import AnyEngine, FrameStream
from flashvsr.worker.upscale import from_model, to_model

UPLOAD, DOWNLOAD = "upload", "download"

Stage = Callable[[str], AbstractContextManager[None]]


def passage(
    engine: AnyEngine,
    stream: FrameStream,
    size: Size,
    pictures: Iterable[Rgb],
    stage: Stage = lambda _name: nullcontext(),
) -> Iterator[Rgb]:
    """Send pictures (H, W, 3) of the model's size through a stream; its windows come as (n, H, W, 3) of 8 bits.

    `stage` is entered for what happens at either end.
    """
    geometry = plan(*size, Preset(width=0, scale=1))
    assert geometry.model == geometry.output == size

    def frames() -> Iterator[Tensor]:
        for picture in pictures:
            with stage(UPLOAD):
                frame = to_model(picture, geometry, engine.device)
            yield frame

    for output in stream.run(frames()):
        with stage(DOWNLOAD):
            pixels = from_model(output, geometry)
        yield pixels
