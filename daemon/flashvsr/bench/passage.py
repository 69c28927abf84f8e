"""From pictures in host memory through a model to pictures in host memory, by the worker's own steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor

from flashvsr.settings.preset import Preset
from flashvsr.upscaling.engine import AnyEngine, FrameStream
from flashvsr.upscaling.file import UPLOADED_FRAMES, enlarged, finished
from flashvsr.upscaling.threads import RunAhead
from flashvsr.upscaling.transfer import Download, Incoming, Outgoing, Pace, Upload
from flashvsr.video.decode import Rgb
from flashvsr.video.geometry import Size, plan

UPLOAD, DOWNLOAD = "upload", "download"

Stage = Callable[[str], AbstractContextManager[None]]


def passage(
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
    upload, download, pace = Upload(engine.device), Download(engine.device), Pace(engine.device)
    ahead: RunAhead[Incoming] = RunAhead(map(upload.send, pictures), UPLOADED_FRAMES, name="upload")

    def frames() -> Iterator[Tensor]:
        for picture in ahead:
            with stage(UPLOAD):
                frame = enlarged(picture.take(), geometry)
            yield frame

    leaving: deque[Outgoing] = deque()
    begun = False
    try:
        for output in stream.run(frames()):
            pace.step()
            with stage(DOWNLOAD):
                leaving.append(download.send(finished(output, geometry)))
            if len(leaving) > 1 or not begun:
                begun = True
                yield leaving.popleft().wait()
        for window in leaving:
            yield window.wait()
    finally:
        ahead.close()
