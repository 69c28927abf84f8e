"""Measure a weights folder on a video: `python -m flashvsr.training.validate FOLDER VIDEO...`.

The video is halved, enlarged x2 through the service's own stream, and compared with itself; so is the plain
bicubic enlargement. A segment is a run of frames between two cuts through the file at equal distances.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from flashvsr.errors import BadInput
from flashvsr.model.network import FlashVSR
from flashvsr.model.resize import to_unit
from flashvsr.model.stream import MULTIPLE, Stream, StreamOptions
from flashvsr.model.weights import load_model
from flashvsr.model.windows import FRAMES_PER_WINDOW, window
from flashvsr.training.data import enlarge, halve
from flashvsr.training.luma import luma_of

Errors = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """Mean squared errors of 8-bit luma per frame: of the model, of bicubic, and of either's frame differences."""

    model: Errors
    bicubic: Errors
    model_flicker: Errors
    bicubic_flicker: Errors

    def part(self, start: int, stop: int) -> Measured:
        """Frames [start, stop)."""
        return Measured(
            self.model[start:stop],
            self.bicubic[start:stop],
            self.model_flicker[start : stop - 1],
            self.bicubic_flicker[start : stop - 1],
        )

    @property
    def gain(self) -> float:
        """Gain over bicubic in dB, as the mean of the frames' PSNR."""
        return float((psnr(self.model) - psnr(self.bicubic)).mean())

    @property
    def pooled_gain(self) -> float:
        """Gain over bicubic in dB, as PSNR of the mean squared error of all frames."""
        return float(psnr(self.model.mean()) - psnr(self.bicubic.mean()))

    @property
    def flicker_gain(self) -> float:
        """Gain over bicubic in dB, as the mean PSNR of frame differences against the source's."""
        gains = psnr(self.model_flicker) - psnr(self.bicubic_flicker)
        return float(gains.mean()) if len(gains) else 0.0

    @property
    def pooled_flicker_gain(self) -> float:
        """The same from the mean squared error of all frame differences."""
        if not len(self.model_flicker):
            return 0.0
        return float(psnr(self.model_flicker.mean()) - psnr(self.bicubic_flicker.mean()))

    def window_start_gain(self) -> float:
        """First frames of windows against the frames just before and after: difference of the gains in dB."""
        gains = psnr(self.model) - psnr(self.bicubic)
        first = window(1).output[0]
        starts = np.arange(first, len(gains) - 1, FRAMES_PER_WINDOW)
        if not len(starts):
            return 0.0
        return float((gains[starts] - (gains[starts - 1] + gains[starts + 1]) / 2).mean())


def psnr(error: npt.ArrayLike) -> Errors:
    """PSNR in dB of mean squared errors of 8-bit values; equal pictures count as 99 dB at most."""
    return np.asarray(10 * np.log10(255.0**2 / np.maximum(error, 255.0**2 / 10**9.9)))


def read_frames(file: Path, start: int, count: int | None) -> Iterator[Tensor]:
    """Frames (3, H, W) uint8 with sides cut down evenly to multiples of 128.

    Raises:
        BadInput: the pictures are smaller than that.
    """
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stop = None if count is None else start + count
        for frame in itertools.islice(container.decode(stream), start, stop):
            picture = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
            height, width = (side // MULTIPLE * MULTIPLE for side in picture.shape[1:])
            if not height or not width:
                raise BadInput(f"{file}: pictures of {frame.width}x{frame.height} are too small, 128x128 at least")
            top, left = ((a - b) // 2 for a, b in zip(picture.shape[1:], (height, width), strict=True))
            yield picture[:, top : top + height, left : left + width]


@torch.no_grad()
def measure(model: FlashVSR, file: Path, bicubic: bool, start: int = 0, count: int | None = None) -> Measured:
    """Halve (by the bicubic filter or by averages), enlarge and compare the frames of a video."""
    sources, doubled = itertools.tee(read_frames(file, start, count))
    first = next(sources, None)
    if first is None:
        raise BadInput(f"{file}: no frame at {start}; start earlier")
    sources = itertools.chain([first], sources)
    plain: list[Tensor] = []

    def inputs() -> Iterator[Tensor]:
        for frame in doubled:
            plain.append(enlarge(halve(frame[None].to(model.device).float(), bicubic), 2)[0])
            yield to_unit(plain[-1])

    # The same steps as in the service: corrected frames, rounded to 8 bits.
    stream = Stream(model, first.shape[1], first.shape[2], StreamOptions())
    rows, previous = [], None
    for output in stream.run(inputs()):
        for restored in ((output.float() + 1) * 127.5).round().clamp(0, 255).unbind(1):
            truth = next(sources).to(model.device).float()
            errors = torch.stack([luma_of(restored - truth), luma_of(plain.pop(0) - truth)])
            change = errors - previous if previous is not None else torch.zeros_like(errors)
            rows.append(torch.cat([e.square().mean(dim=(1, 2)) for e in (errors, change)]))
            previous = errors
    table = torch.stack(rows).double().cpu().numpy()
    return Measured(table[:, 0], table[:, 1], table[1:, 2], table[1:, 3])


def report(name: str, measured: Measured, segments: int) -> str:
    """A table: the whole and its segments."""
    lines = [
        f"{name}: {len(measured.model)} frames; in dB, PSNR-Y of bicubic and of the model, gain per frame, pooled; "
        "gain of frame differences per frame, pooled"
    ]
    total = len(measured.model)
    edges = np.linspace(0, total, min(segments, total) + 1).astype(int)
    parts = [(0, total)] + ([(int(a), int(b)) for a, b in itertools.pairwise(edges)] if segments > 1 else [])
    for start, stop in parts:
        part = measured.part(start, stop)
        lines.append(
            f"  {start:5}-{stop:<5} {psnr(part.bicubic).mean():6.2f} {psnr(part.model).mean():6.2f}  "
            f"{part.gain:+.2f} {part.pooled_gain:+.2f}   {part.flicker_gain:+.2f} {part.pooled_flicker_gain:+.2f}"
        )
    frames = psnr(measured.model) - psnr(measured.bicubic)
    lines.append(
        f"  worst frame {frames.min():+.2f}; frames below bicubic {np.mean(frames < 0):.1%}; "
        f"first frames of windows against their neighbours {measured.window_start_gain():+.3f}"
    )
    return "\n".join(lines)


def main() -> None:
    """Command line of the measurement."""
    parser = argparse.ArgumentParser(prog="python -m flashvsr.training.validate", description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--start", type=int, default=0, help="first frame")
    parser.add_argument("--frames", type=int, help="frames to measure, all by default")
    parser.add_argument("--segments", type=int, default=12)
    arguments = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False
    model = load_model(arguments.weights, arguments.device, torch.float32).model
    for video in arguments.videos:
        for bicubic in (False, True):
            measured = measure(model, video, bicubic, arguments.start, arguments.frames)
            name = f"{video.name}, halved by {'the bicubic filter' if bicubic else 'averages'}"
            print(report(name, measured, arguments.segments), flush=True)


if __name__ == "__main__":
    main()
