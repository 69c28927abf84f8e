"""The source as a plain MP4 before anything else is done with it: scaled, upright, progressive, yuv420p of 8 bits.

Decoding while the model works needs no such file and loses nothing, and is the default. This is for whoever wants the
two apart, as the application before this service did.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from av.error import FFmpegError

from flashvsr.errors import BadConfig
from flashvsr.files.advice import LOST, failure
from flashvsr.files.trees import OWN
from flashvsr.video.counted import Progress, nothing
from flashvsr.video.decode import DecodeOptions, decode, output_grid
from flashvsr.video.digests import digest_of
from flashvsr.video.encode import EncoderSettings, VideoEncoder, output_format, problem_of
from flashvsr.video.media import hold_source
from flashvsr.video.probe import SourceInfo, probe
from flashvsr.video.stream_writer import StreamWriter
from flashvsr.video.writing import create, write_error

_CODECS = {"libx264": "h264", "h264_nvenc": "h264", "libx265": "hevc", "hevc_nvenc": "hevc"}
_SOFTWARE = {"h264": "libx264", "hevc": "libx265"}
# The "_hq" modes of older FFmpeg are a tuning and a second pass today.
_RATE_CONTROLS = {
    "vbr_hq": {"rc": "vbr", "tune": "hq", "multipass": "fullres"},
    "vbr": {"rc": "vbr"},
    "cbr_hq": {"rc": "cbr", "tune": "hq", "multipass": "fullres"},
    "cbr": {"rc": "cbr"},
    "constqp": {"rc": "constqp"},
}


@dataclass(frozen=True)
class NormaliseSettings:
    """The settings of [preprocess], by their names there; `threads` of the encoder at most."""

    video_codec: str = "libx264"
    preset: str = "veryfast"
    crf: int = 23
    nvenc_preset: str = "p5"
    nvenc_rc: str = "vbr_hq"
    nvenc_cq: int = 21
    threads: int = 2


@dataclass(frozen=True)
class Normalised:
    """The file's facts, to be decoded with the clock of the source; and what a person should know."""

    info: SourceInfo
    warnings: tuple[str, ...]


def normalise(
    info: SourceInfo, size: tuple[int, int], decoding: DecodeOptions, settings: NormaliseSettings, target: Path,
    progress: Progress = nothing,
) -> Normalised:  # fmt: skip
    """Write the source's picture to `target` at `size` (width, height), or take the file that is there already.

    One that is there is taken if it is as it was written. `progress` is called after each frame, and as the file is
    read; what it raises ends the work. Raises BadInput, Transient, and BadConfig where no encoder works.
    """
    warnings: list[str] = []
    if info.is_deep:
        warnings.append(
            f'preprocess.mode = "file" cuts the {info.bits} bits of the source to 8; "stream" would keep them'
        )
    plain = replace(info, bits=8)
    if not _is_whole(target, progress):
        warnings += _write(plain, size, replace(decoding, first_frame=0), settings, target, progress)
    with hold_source(OWN, target):
        found = probe(target)
    clock = output_grid(info)
    seen = replace(
        found, frame_rate=info.frame_rate, time_base=clock.time_base, start=Fraction(0), frame_count=info.frame_count,
        sample_aspect=info.sample_aspect, mastering=info.mastering,
    )  # fmt: skip
    return Normalised(seen, tuple(warnings))


def _write(
    info: SourceInfo, size: tuple[int, int], decoding: DecodeOptions, settings: NormaliseSettings, target: Path,
    progress: Progress,
) -> list[str]:  # fmt: skip
    encoder = _encoder(info, size, settings)
    decoder = decode(info, size, decoding)
    video, temporary = encoder.format, target.with_suffix(".tmp")
    ticks = str(video.time_base.denominator)
    try:
        scales = {"movie_timescale": ticks, "video_track_timescale": ticks}
        with create(temporary, "mp4", scales, opener=OWN.open_file) as out:
            writer = StreamWriter(out, encoder, decoder.captions)
            for frame in decoder:
                writer.write(frame.rgb, frame.pts)
                progress()
            writer.finish(decoder.last_step)
        _mark_of(target).write_text(digest_of(temporary, target.name, progress))
        temporary.replace(target)
    except (FFmpegError, OSError) as error:
        raise write_error(temporary, error) from error
    finally:
        decoder.close()
        with suppress(OSError):  # `remove_others` comes by again, and an error that is on its way says more
            temporary.unlink(missing_ok=True)
    return [*encoder.warnings, *decoder.warnings]


def _is_whole(target: Path, progress: Progress) -> bool:
    """Whether the file is there, and all of it is as it was written. Raises Transient."""
    try:
        return _mark_of(target).read_bytes() == digest_of(target, target.name, progress).encode()
    except OSError as error:
        if error.errno not in LOST:
            raise failure("read", target, error) from error
        return False


def _mark_of(target: Path) -> Path:
    return target.with_suffix(".digest")


def _encoder(info: SourceInfo, size: tuple[int, int], settings: NormaliseSettings) -> VideoEncoder:
    codec, video = _CODECS[settings.video_codec], output_format(info, size)
    names = dict.fromkeys((settings.video_codec, _SOFTWARE[codec]))
    warnings: tuple[str, ...] = ()
    for name in names:
        how = EncoderSettings(codec, threads=settings.threads)
        encoder = VideoEncoder(name, how, video, warnings, _options(name, settings))
        problem = problem_of(encoder)
        if problem is None:
            return encoder
        warnings = (f"preprocess.video_codec = {name} does not work here ({problem}); encoded in software instead",)
    raise BadConfig(f'{warnings[0]}, which does not work either; set preprocess.mode = "stream"')


def _options(name: str, settings: NormaliseSettings) -> dict[str, str]:
    """B-frames as in the results, whose reordering `flashvsr.video.encode` knows."""
    if name == "libx264":
        return {"preset": settings.preset, "crf": str(settings.crf), "bf": "3", "b-pyramid": "normal"}
    if name == "libx265":
        params = f"log-level=none:pools={settings.threads}:open-gop=0:bframes=4:b-pyramid=1"
        return {"preset": settings.preset, "crf": str(settings.crf), "x265-params": params}
    quality = {"qp" if settings.nvenc_rc == "constqp" else "cq": str(settings.nvenc_cq), "b": "0"}
    frames = {"preset": settings.nvenc_preset, "bf": "2", "b_ref_mode": "disabled"}
    return frames | _RATE_CONTROLS[settings.nvenc_rc] | quality


def name_for(fingerprint: str) -> str:
    """The file's name in a job's folder; another fingerprint, another file."""
    return f"normalised-{fingerprint[:16]}.mp4"


def remove_others(workdir: Path, kept: Path | None) -> None:
    """Remove normalised files, whole or not, and what belongs to them, but `kept`."""
    for path in workdir.glob("normalised-*"):
        if kept is None or path not in (kept, _mark_of(kept)):
            path.unlink()
