"""What is known of a file before the work. Light: whoever only keeps or shows forecasts needs no decoders."""

from __future__ import annotations

from dataclasses import dataclass

Size = tuple[int, int]


@dataclass(frozen=True)
class Forecast:
    """What is known of a file before the work. Sizes are (width, height) in pixels.

    Attributes:
        source: its size. `codec`, `rate`: of its picture, `rate` in frames a second. `seconds`: its length.
        frames: to be made; None where the file does not tell.
        result: the size of what will be made, `model`: what the model computes for it; None where nothing will be.
        size: about the bytes of the result; None where the frames are not known.
        audio, subtitles: tracks that it will have.
        remarks: what differs from the source, in words.
        skipped: why nothing is to be done; refused: why nothing can be. Empty where it will be made.
    """

    source: Size
    codec: str
    rate: float
    seconds: float | None
    frames: int | None
    result: Size | None
    model: Size | None
    size: int | None
    audio: int
    subtitles: int
    remarks: tuple[str, ...]
    skipped: str = ""
    refused: str = ""
