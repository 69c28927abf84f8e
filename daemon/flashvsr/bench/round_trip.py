"""From pictures in host memory through a model to pictures in host memory, by the worker's own steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from contextlib import closing, nullcontext

from flashvsr.settings.preset import Preset
from flashvsr.upscaling.engine import AnyEngine, FrameStream
from flashvsr.upscaling.pairing import Tagged
from flashvsr.upscaling.passage import UPLOADED_FRAMES, Passage, Stage
from flashvsr.upscaling.threads import RunAhead
from flashvsr.upscaling.transfer import Outgoing
from flashvsr.video.decode import Rgb
from flashvsr.video.geometry import Size, plan


def round_trip(
    engine: AnyEngine,
    stream: FrameStream,
    size: Size,
    pictures: Iterable[Rgb],
    stage: Stage = lambda _name: nullcontext(),
) -> Generator[Rgb, None, None]:
    """Send pictures (H, W, 3) of the model's size through a stream; its windows come as (n, H, W, 3) of 8 bits.

    As in the worker, frames travel while the model computes: a window comes when it is here and the next one has
    begun, the first one as soon as it is here. `stage` is entered for what the model waits for at either end.
    """
    geometry = plan(*size, Preset(width=0, scale=1))
    assert geometry.model == geometry.output == size
    decoded = RunAhead((Tagged(picture, None) for picture in pictures), UPLOADED_FRAMES)
    leaving: deque[Outgoing] = deque()
    begun = False
    with closing(Passage(stream, decoded, geometry, engine.device, stage=stage)) as passage:
        for batch in passage:
            leaving.append(batch.pixels)
            if len(leaving) > 1 or not begun:
                begun = True
                yield leaving.popleft().wait()
        for window in leaving:
            yield window.wait()
