"""RGB frames to a compressed video stream: which encoder, with which options, for a quality from 1 to 10.

One scale for all: `quality` gives x264's CRF as int(51 * (1 - quality / 10)), and the other encoders get the
constant-quality value that looks alike on their own scales:

    quality      1   2   3   4   5   6   7   8   9  10
    x264 crf    45  40  35  30  25  20  15  10   5   0     (0 is lossless)
    x265 crf    51  48  42  36  30  24  18  12   6   0     1.2 x, at most 51
    SVT-AV1     63  56  49  42  35  28  21  14   7   1     1.4 x, 1 to 63
    nvenc cq    as the software encoder of the same codec, at least 1
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame

from flashvsr.errors import BadConfig
from flashvsr.system.priority import ordinary_priority
from flashvsr.video.color import ColorInfo, output_color
from flashvsr.video.convert import Converter
from flashvsr.video.decode import RGB, Rgb, output_grid
from flashvsr.video.mastering import Mastering
from flashvsr.video.probe import SourceInfo

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

KEYFRAME_DISTANCE = 240  # frames, at most; seeking stays quick
# Most places a frame is moved by B-frame reordering, with the options below (AV1 hides its reordering in the
# packet).
REORDER_DEPTH = {"h264": 2, "hevc": 2, "av1": 0}
_SOFTWARE = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1"}
_NVENC = {"h264": "h264_nvenc", "hevc": "hevc_nvenc", "av1": "av1_nvenc"}


@dataclass(frozen=True)
class EncoderSettings:
    """`codec`: h264, hevc, av1. `encoder`: auto, software, nvenc. `quality`: 1 to 10. `threads`: at most."""

    codec: str = "h264"
    encoder: str = "auto"
    quality: int = 6
    threads: int = 4


@dataclass(frozen=True)
class VideoFormat:
    """The stream to write: pixels, clock, pixel shape, colour. `step`: ticks per frame at constant rate.

    `bits`: 8, or 10 where the source has more than 8. `mastering`: HDR10's facts, for software encoders to pass on.
    """

    width: int
    height: int
    frame_rate: Fraction
    time_base: Fraction
    step: int
    sample_aspect: Fraction
    color: ColorInfo
    bits: int = 8
    mastering: Mastering | None = None


def output_format(info: SourceInfo, size: tuple[int, int]) -> VideoFormat:
    """A result's format for `size` (width, height): the source's clock and pixel shape, colour tagged."""
    grid = output_grid(info)
    return VideoFormat(
        size[0],
        size[1],
        grid.rate,
        grid.time_base,
        grid.step,
        info.sample_aspect,
        output_color(info.color, *size),
        10 if info.is_deep else 8,
        info.mastering,
    )


def constant_quality(codec: str, quality: int) -> int:
    """The software encoder's constant-quality value for a preset's quality (table at the top)."""
    crf = int(51 * (1 - quality / 10))
    if codec == "hevc":
        return min(51, round(crf * 1.2))
    if codec == "av1":
        return min(63, max(1, round(crf * 1.4)))
    return crf


class VideoEncoder:
    """A chosen encoder and its options. Starts any number of streams, one per chunk.

    `name`: FFmpeg's name of the encoder, `codec`: ours of what it makes. `options`: instead of those for the quality
    asked for. `warnings`: what a person should know about the choice.
    """

    def __init__(
        self, name: str, settings: EncoderSettings, video_format: VideoFormat, warnings: tuple[str, ...] = (),
        options: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.codec = settings.codec
        self.format = video_format
        self.warnings = warnings
        self.reorder_depth = REORDER_DEPTH[settings.codec]
        self._threads = max(1, settings.threads)
        self._options = options or _options(name, settings, self._threads, video_format.mastering)
        self._pixel_format = "yuv420p" if video_format.bits == 8 else "p010le" if "nvenc" in name else "yuv420p10le"
        self._converter = Converter(
            (video_format.width, video_format.height), self._pixel_format, video_format.color, self._threads
        )

    @property
    def identity(self) -> str:
        """Equal for encoders whose chunks may be joined; belongs into a chunk store's fingerprint."""
        options = {key: value for key, value in self._options.items() if "params" not in key}
        return f"{self.name} {sorted(options.items())} {self.format}"

    def add_stream(self, container: OutputContainer) -> VideoStream:
        """Add this encoder's stream to an output file that has no streams yet."""
        added = container.add_stream(self.name, rate=self.format.frame_rate, options=dict(self._options))
        stream = cast("VideoStream", added)
        stream.time_base = self.format.time_base
        self._open(stream.codec_context)
        return stream

    def frame(self, rgb: Rgb, pts: int) -> VideoFrame:
        """A frame ready to encode, from (height, width, 3) uint8 or uint16. `pts`: ticks of the time base."""
        layout = "rgb48le" if rgb.dtype == np.uint16 else "rgb24"
        picture = cast("Rgb", np.ascontiguousarray(rgb))
        frame = self._converter.convert(VideoFrame.from_ndarray(picture, format=layout), RGB)
        frame.pts = pts
        frame.time_base = self.format.time_base
        return frame

    def trial(self) -> None:
        """Encode one grey frame, to see whether the encoder really works here. Raises whatever it raises."""
        context = cast("VideoCodecContext", av.CodecContext.create(self.name, "w"))
        context.options = dict(self._options)
        self._open(context)
        grey = np.full((self.format.height, self.format.width, 3), 128, np.uint8)
        context.encode(self.frame(grey, 0))
        context.encode(None)

    def _open(self, context: VideoCodecContext) -> None:
        self._configure(context)
        with ordinary_priority():
            context.open()

    def _configure(self, context: VideoCodecContext) -> None:
        video = self.format
        context.width, context.height, context.pix_fmt = video.width, video.height, self._pixel_format
        context.time_base, context.framerate = video.time_base, video.frame_rate
        context.sample_aspect_ratio = video.sample_aspect
        context.gop_size = KEYFRAME_DISTANCE
        context.thread_count = self._threads
        context.colorspace, context.color_range = video.color.matrix_number, video.color.range_number
        context.color_primaries, context.color_trc = video.color.primaries, video.color.transfer


def open_encoder(settings: EncoderSettings, video_format: VideoFormat) -> VideoEncoder:
    """Choose the encoder: NVENC where asked for (or `auto`) and working, else software.

    Raises BadConfig when not even the software encoder works, which means a PyAV built without it.
    """
    warnings: tuple[str, ...] = ()
    if video_format.bits > 8 and settings.codec == "h264":
        # Bits are kept first, and HDR cut to 8 bits shows bands; but whoever has such a player should hear of it.
        warnings = (
            "the source has more than 8 bits, so the result is H.264 with 10 bits, which phones, televisions and some "
            'browsers do not play; set codec = "hevc" or "av1" in the preset for such videos',
        )
    if settings.encoder != "software":
        encoder = VideoEncoder(_NVENC[settings.codec], settings, video_format, warnings)
        problem = problem_of(encoder)
        if problem is None:
            if video_format.mastering is not None:
                encoder.warnings += (
                    f"{encoder.name} does not pass on HDR10's mastering metadata (MaxCLL and the like); "
                    'set encoder = "software" in the preset to keep it',
                )
            return encoder
        if settings.encoder == "nvenc":
            warnings += (f"{encoder.name} does not work here ({problem}); encoded in software instead",)
    encoder = VideoEncoder(_SOFTWARE[settings.codec], settings, video_format, warnings)
    problem = problem_of(encoder)
    if problem is not None:
        raise BadConfig(
            f"{encoder.name} cannot encode {video_format.width}x{video_format.height} ({problem}); "
            "set another codec in the preset, or reinstall the av package"
        )
    return encoder


def problem_of(encoder: VideoEncoder) -> str | None:
    """Why an encoder does not work here; None if it does."""
    if encoder.name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only; SVT-AV1 reads its log level from nowhere else
    try:
        encoder.trial()
    except (FFmpegError, ValueError, RuntimeError) as error:
        return str(error)
    return None


def _options(name: str, settings: EncoderSettings, threads: int, mastering: Mastering | None) -> dict[str, str]:
    value = constant_quality(settings.codec, settings.quality)
    hdr = mastering.options(name) if mastering is not None else ""
    if name == "libx264":
        plain = {"preset": "medium", "crf": str(value), "bf": "3", "b-pyramid": "normal"}
        return plain | ({"x264-params": hdr.removeprefix(":")} if hdr else {})
    if name == "libx265":
        params = f"log-level=none:pools={threads}:open-gop=0:bframes=4:b-pyramid=1"
        return {"preset": "fast", "crf": str(value), "x265-params": params + hdr}
    if name == "libsvtav1":
        level = threads.bit_length()  # of parallelism, no count: 1 for 1 core, 2 for up to 3, 3 for up to 7
        return {"preset": "8", "crf": str(value), "svtav1-params": f"lp={level}{hdr}"}
    options = {"preset": "p5", "rc": "vbr", "cq": str(max(1, value)), "b": "0"}
    # Two B-frames that are not references reorder by one place. NVENC's AV1 packets would need dts of their
    # own.
    return options | ({"bf": "0"} if settings.codec == "av1" else {"bf": "2", "b_ref_mode": "disabled"})


def working_encoders() -> dict[str, list[str]]:
    """For each codec, the encoders that work on this machine, tried out on one frame."""
    video_format = VideoFormat(
        256, 256, Fraction(25), Fraction(1, 25), 1, Fraction(1), ColorInfo("bt709", "limited", 1, 1)
    )
    return {
        codec: [
            encoder.name
            for name in (_NVENC[codec], _SOFTWARE[codec])
            if problem_of(encoder := VideoEncoder(name, EncoderSettings(codec=codec), video_format)) is None
        ]
        for codec in _SOFTWARE
    }
