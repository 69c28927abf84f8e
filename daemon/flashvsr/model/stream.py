"""The one schedule of the model: frames in, frames out, window by window, with bounded memory.

    window(i) = project -> embed -> layers -> head -> decode -> colour

What these are, plain or fused, on one device or on several, is given to the schedule as `Stages`. The plan of a window
(which frames, which positions) comes from `windows` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from itertools import chain, count

import torch
from torch import Tensor

from flashvsr.model.attention import WindowContext
from flashvsr.model.frame_window import FrameWindow
from flashvsr.model.spec import StreamOptions, StreamSpec
from flashvsr.model.stages import Stages
from flashvsr.model.windows import Window, window

__all__ = ["Stream", "StreamOptions", "StreamSpec", "draw_noise"]


class Stream:
    """One video going through the stages of a model, which were made for it alone."""

    def __init__(self, stages: Stages) -> None:
        self.stages = stages

    def run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Upscale a stream of frames.

        Args:
            frames: low-quality frames (3, H, W) in [-1, 1], already at the model's size.

        Yields:
            Finished frames (3, n, H, W) in [-1, 1], 21 or 8 at a time and fewer at the end; as many in all as came in.
        """
        spec = self.stages.spec
        source = FrameWindow(frames, self.stages.dtype, self.stages.project.device)
        for index in count():
            step = window(index)
            source.read_to(step.lq[1])
            if source.ended_at is not None and source.ended_at <= step.output[0]:
                return
            noise = draw_noise(spec.options.seed, step.number(spec.origin), spec.noise_shape(step))
            output = self.make(step, source.frames(*step.lq), source.frames(*step.output), noise)
            if source.ended_at is not None:
                output = output[:, : source.ended_at - step.output[0]]
            yield output
            source.drop_before(min(window(index + 1).output[0], window(index + 1).lq[0]))

    def make(self, step: Window, lq: Tensor, condition: Tensor, noise: Tensor) -> Tensor:
        """One window.

        Args:
            step: which one; they come in their order, each once.
            lq: its LQ frames (3, F, H, W).
            condition: the frames that it finishes (3, n, H, W).
            noise: (16, f, H/8, W/8), in host memory.

        Returns:
            Finished frames (3, n, H, W), float32 in [-1, 1].
        """
        lq, noise, contexts = self._begin(step, lq, noise)
        return self.stages.run(self._window, lq, condition, noise, *chain.from_iterable(contexts))

    def denoise(self, step: Window, lq: Tensor, noise: Tensor) -> Tensor:
        """The first half of `make`: LQ frames and noise -> clean latents of noise's shape."""
        return self._denoise(*self._begin(step, lq, noise))

    def decode(self, latents: Tensor, condition: Tensor) -> Tensor:
        """The second half: latents (16, f, H/8, W/8) and their frames (3, F, H, W) -> finished frames (3, F, H, W)."""
        stage, colour = self.stages.decode, self.stages.colour
        latents, condition = _on(stage.device, latents, condition)
        frames, done = None, 0
        with _current(stage.device):
            for part in stage(latents, condition):
                there = slice(done, done + part.shape[1])
                corrected = colour(part, condition[:, there])
                if corrected.shape == condition.shape:
                    return corrected  # all of them are there at once, without a copy
                if frames is None:
                    frames = corrected.new_empty(condition.shape)
                frames[:, there], done = corrected, there.stop
        assert frames is not None, "a window finishes frames"
        return frames

    def _begin(self, step: Window, lq: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, list[WindowContext]]:
        """What cannot be recorded, as it differs from window to window. Returns the LQ frames that are still to go
        through the projection, the noise on the device, and what each range of layers wants to know.
        """
        stages = self.stages
        contexts = []
        for part in stages.layers:
            with _current(part.device):
                contexts.append(part.begin(step))
        if step.is_first:
            with _current(stages.project.device):
                stages.project.start(lq[:, :1])
            lq = lq[:, 1:]
        return lq, stages.embed.upload(noise), contexts

    def _window(self, lq: Tensor, condition: Tensor, noise: Tensor, *context: Tensor) -> Tensor:
        """The work of a window, from tensors alone; `context`: those of each range of layers in turn."""
        size = len(WindowContext._fields)
        contexts = [WindowContext(*context[i : i + size]) for i in range(0, len(context), size)]
        return self.decode(self._denoise(lq, noise, contexts), condition)

    def _denoise(self, lq: Tensor, noise: Tensor, contexts: Sequence[WindowContext]) -> Tensor:
        stages = self.stages
        with _current(stages.project.device):
            tokens = stages.project(lq)
        with _current(stages.embed.device):
            hidden = stages.embed(noise)
        for part, context in zip(stages.layers, contexts, strict=True):
            with _current(part.device):
                fed = tokens[part.layers.start : part.layers.stop]
                hidden = part(_on(part.device, *hidden), _on(part.device, *fed), context)
        with _current(stages.head.device):
            return stages.head(_on(stages.head.device, *hidden), noise.to(stages.head.device))


def draw_noise(seed: int, index: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise that depends on the seed and the window alone, drawn on the CPU for every device."""
    # PyTorch's generator takes 32 bits of a seed; hashed, neighbouring seeds and windows share nothing.
    mixed = int.from_bytes(sha256(f"{seed} {index}".encode()).digest()[:4], "big")
    return torch.randn(shape, generator=torch.Generator().manual_seed(mixed))


def _on(device: torch.device, *tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors on a device; where they are there already, nothing happens. Does not wait for the copies."""
    return tuple(x.to(device, non_blocking=True) for x in tensors)


def _current(device: torch.device) -> AbstractContextManager[object]:
    """A stage's device is PyTorch's current one while it runs: kernels are launched there, and events recorded."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
