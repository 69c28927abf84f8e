"""The one loop in which frames pass through the model.

    decode (thread) -> to the device (thread) -> enlarge -> windows of the model -> to the host -> encode into chunks
    (thread)

`Passage` is what lies between the decoder and the encoder, for whoever has pictures; `run` puts it between these two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from flashvsr.errors import BadInput, Fault, LeaseLost
from flashvsr.model.windows import FRAMES_PER_WINDOW
from flashvsr.upscaling.budgets import waiting_batches
from flashvsr.upscaling.control import Control
from flashvsr.upscaling.engine import AnyEngine, FrameStream
from flashvsr.upscaling.frames import enlarged, finished
from flashvsr.upscaling.output import ChunkedOutput
from flashvsr.upscaling.pairing import Batch, Tagged, through
from flashvsr.upscaling.plan import Plan
from flashvsr.upscaling.threads import RunAhead, WriteBehind
from flashvsr.upscaling.transfer import Download, Incoming, Outgoing, Pace, Upload
from flashvsr.video.decode import FrameDecoder, Rgb
from flashvsr.video.geometry import Geometry

T = TypeVar("T")

UPLOADED_FRAMES = 2 * FRAMES_PER_WINDOW  # on the model's device, ahead of it
UPLOAD, DOWNLOAD = "upload", "download"  # stages at either end of the model

Stage = Callable[[str], AbstractContextManager[None]]

_NO_PIXELS = Outgoing(np.empty((0, 0, 0, 3), np.uint8), None)


class Passage(Generic[T]):
    """Decoded pictures through a stream of the model, to pictures on their way to the host. Iterate over it once.

    Close it in any case: that ends its threads, the one that decodes included.

    Args:
        decoded: pictures (h, w, 3) of the size `geometry.scaled`, each with a tag.
        device: where the stream computes.
        deep: whether pictures come with 16 bits instead of 8.
        skip: so many of the first frames only warm the model up, and do not come back.
        waiting: called now and then while the model waits for pictures; may raise.
        stage: entered for what the model waits for at either end.
    """

    def __init__(
        self,
        stream: FrameStream,
        decoded: RunAhead[Tagged[Rgb, T]],
        geometry: Geometry,
        device: torch.device,
        *,
        deep: bool = False,
        skip: int = 0,
        waiting: Callable[[], None] = lambda: None,
        stage: Stage = lambda _name: nullcontext(),
    ) -> None:
        self._stream = stream
        self._decoded = decoded
        self._geometry = geometry
        self._deep = deep
        self._skip = skip
        self._stage = stage
        self._upload, self._download, self._pace = Upload(device), Download(device), Pace(device)
        self._ahead: RunAhead[Tagged[Incoming, T]] = RunAhead(
            self._uploaded(), UPLOADED_FRAMES, waiting=waiting, name="upload"
        )

    def __iter__(self) -> Iterator[Batch[Outgoing, T]]:
        """Yield the windows (n, h, w, 3), the next one begun by then; without a frame for one of the warm-up alone."""
        skip = self._skip
        for batch in through(self._stream, self._enlarged()):
            tags = batch.tags[skip:]
            fresh, skip = batch.pixels[:, skip:], max(0, skip - len(batch.tags))
            self._pace.step()
            yield Batch(self._sent(fresh) if tags else _NO_PIXELS, tags)

    def close(self) -> None:
        """End the threads and wait for them."""
        self._decoded.close()  # first: the other thread may wait for it
        self._ahead.close()

    def _uploaded(self) -> Iterator[Tagged[Incoming, T]]:
        for frame in self._decoded:
            yield Tagged(self._upload.send(frame.picture), frame.tag)

    def _enlarged(self) -> Iterator[Tagged[Tensor, T]]:
        for frame in self._ahead:
            with self._stage(UPLOAD):
                picture = enlarged(frame.picture.take(), self._geometry)
            yield Tagged(picture, frame.tag)

    def _sent(self, frames: Tensor) -> Outgoing:
        with self._stage(DOWNLOAD):
            return self._download.send(finished(frames, self._geometry, deep=self._deep))


def run(plan: Plan, engine: AnyEngine, decoder: FrameDecoder, output: ChunkedOutput, control: Control) -> None:
    """Drive decode, model and encode until the source ends. The frames written so far are durable afterwards.

    `decoder`: from the plan's first frame on. Raises BadInput if no frame comes, and whatever `control` raises.
    """
    info, resumed_at = plan.picture, plan.resumed_at
    stream = engine.stream(plan.geometry.model, plan.options, plan.origin)
    decoded = RunAhead((Tagged(frame.rgb, frame.pts) for frame in decoder), plan.room, plan.prefetch)
    passage = Passage(
        stream, decoded, plan.geometry, engine.device,
        deep=info.is_deep,
        skip=plan.warm_up,
        waiting=_Skipping(decoder, control),  # a resumed job decodes all that comes before its first new frame
    )  # fmt: skip
    behind: WriteBehind[Batch[Outgoing, int]] = WriteBehind(
        output.write, waiting_batches(FRAMES_PER_WINDOW, plan.geometry, deep=info.is_deep)
    )
    clock = _Clock()

    def tell() -> None:
        # Files have more frames than they say, too.
        total = info.frame_count if output.frames <= (info.frame_count or 0) else None
        control.progress(output.frames, total, clock.rate(output.frames - resumed_at))

    try:
        tell()
        with torch.inference_mode():
            for batch in passage:
                if batch.tags:
                    behind.put(batch)
                    tell()
                else:
                    control.working()
        behind.finish(waiting=tell)
        output.close()
    except LeaseLost:
        behind.join()  # the chunks are another worker's now: nothing is touched
        raise
    except BaseException:
        behind.join()
        output.rescue()
        raise
    finally:
        passage.close()
        decoder.close()
    if not output.chunks:
        raise BadInput(
            f"{info.path}: no frame came out of it; the file is damaged or was cut short", fault=Fault.DAMAGED
        )
    control.progress(output.frames, output.frames, clock.rate(output.frames - resumed_at))


class _Skipping:
    """Called while the model waits for the decoder: the frames that the decoder passes are progress."""

    def __init__(self, decoder: FrameDecoder, control: Control) -> None:
        self._decoder = decoder
        self._control = control
        self._passed = 0

    def __call__(self) -> None:
        passed, self._passed = self._passed, self._decoder.frames
        if self._passed != passed:
            self._control.working()


class _Clock:
    """Frames per second since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def rate(self, frames: int) -> float:
        return frames / max(1e-6, time.monotonic() - self._start)
