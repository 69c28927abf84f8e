"""Opening media files: local files only, a fixed list of container formats, and one place that sorts errors.

Sources are read through a Python file object. That gives three things: the file is opened read-only, FFmpeg
never sees a name that it could take for a URL, and a failing disk or share raises the operating system's own
OSError, which can be told from FFmpeg's errors about damaged content.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.codec.hwaccel import HWAccel
from av.error import EOFError as AvEOFError
from av.error import FFmpegError

from flashvsr.errors import BadInput, Fault, FlashVSRError, Transient
from flashvsr.files import held
from flashvsr.files.advice import failure
from flashvsr.files.at import Identity, NotRegular, identity
from flashvsr.files.trees import OWN, Trees
from flashvsr.system.text import printable
from flashvsr.video.counted import Opener, Progress, Readable, ReadFile, nothing
from flashvsr.video.pyav import SOURCE_TEXT

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

# Demuxers that read one self-contained file. Left out on purpose: playlists and anything that opens other
# files (hls, dash, concat, sdp, image2 patterns), because a crafted playlist could read local files or reach
# the network.
SOURCE_FORMATS = (
    "mov", "matroska", "avi", "mpeg", "mpegts", "mpegvideo", "flv", "asf", "ogg", "gif", "apng", "nut", "mxf",
    "dv", "rm", "wtv", "ivf", "m4v", "h264", "hevc", "av1", "obu", "vc1", "h263", "yuv4mpegpipe", "3gp",
    "swf", "nsv",
    "png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe",
    "mp3", "aac", "wav", "flac",  # recognised so that an audio file gets the answer "no video in it"
)  # fmt: skip

_DEMUXING = {
    "format_whitelist": ",".join(SOURCE_FORMATS),
    "protocol_whitelist": "file",
}

_READ_BLOCK = 1 << 18  # bytes per read: network shares answer few large reads faster than many small ones
_MAX_CONSECUTIVE_ERRORS = 100  # a demuxer that fails this often in a row is not going to recover
_GENERATE_PTS = 0x1  # AVFMT_FLAG_GENPTS
# Decoders of FFmpeg whose threads can wait for each other for ever in a damaged file, when each takes a frame of its
# own. They may share the slices of one frame.
_NO_FRAME_THREADS = frozenset({"hevc"})


@contextmanager
def open_source(
    path: Path,
    progress: Progress = nothing,
    hardware: str = "",
    warn: Callable[[str], None] = lambda _: None,
    view: Callable[[Readable], Readable] | None = None,
    known: Identity | None = None,
) -> Iterator[InputContainer]:
    """Open a source file for demuxing and close it afterwards. `progress` is called as it is read.

    `view`: how to look at it, see `flashvsr.video.renumber.renumbered`.
    `hardware`: a device type such as "cuda" to decode on; where there is none, `warn` hears of it and the CPU decodes.
    `known`: the file that it has to be, of which it is known that it can be opened; Transient for another one.

    On the way to a file that is not held, see `hold_source`, no link is followed.

    Raises BadInput when the file is missing, empty, not a regular file or not a known media format, and
    Transient when the operating system fails to read it.
    """
    file = _reader(path, progress)
    with _failing_as_it_did(file, path), closing(file):
        if known is not None and identity(file.status()) != known:
            raise Transient(f"{path} was changed or exchanged while it was worked on; it is tried again as it is now")
        seen = file if view is None else view(file)
        container = _open_on(hardware, path, seen, warn) if hardware else None
        container = container or _open_container(path, seen)
        # PyAV asks libavformat to invent missing timestamps, which shifts B-frame streams in AVI by the
        # reorder delay.
        container.flags &= ~_GENERATE_PTS
        try:
            yield container
        finally:
            container.close()


def beginning(path: Path, size: int) -> bytes:
    """The first `size` bytes of a source, or all there are. Raises as `open_source`."""
    with closing(_reader(path, nothing)) as file, _failing_as_it_did(file, path):
        return file.read(size)


@contextmanager
def hold_source(trees: Trees, path: Path) -> Iterator[None]:
    """Until the end of this, whoever opens the source opens the file that has its name now. Raises as `open_source`.

    `trees`: the way to it, by which it is opened here and nowhere else.
    """
    with ExitStack() as stack:
        with _telling(path):
            stack.enter_context(held.held(trees, path))
        yield


def source_status(path: Path) -> os.stat_result:
    """What a source is now, or the one held in its place. Raises as `open_source`."""
    with _telling(path):
        return held.status(path)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turn what the system says about a source into BadInput, or Transient where waiting may help."""
    try:
        yield
    except NotRegular as error:
        raise BadInput(f"{printable(path)} is not a regular file", fault=Fault.NO_FILE) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadInput(f"{printable(path)} does not exist", fault=Fault.GONE) from error
    except OSError as error:
        raise failure("read", path, error) from error


def _reader(path: Path, progress: Progress) -> ReadFile:
    with _telling(path):
        file = ReadFile(held.open_to_read(path), progress)
    with ExitStack() as stack:
        stack.callback(file.close)
        if file.status().st_size == 0:
            raise BadInput(f"{printable(path)} is empty; copy the video again", fault=Fault.EMPTY)
        stack.pop_all()
    return file


@contextmanager
def _failing_as_it_did(file: ReadFile, path: Path) -> Iterator[None]:
    """If the reading failed, or what hears of its progress, raise that, whatever FFmpeg made of it, or nothing."""
    try:
        yield
    except Exception as error:
        _raise_failure(file, path, error)
        raise
    _raise_failure(file, path, None)


def _raise_failure(file: ReadFile, path: Path, instead_of: Exception | None) -> None:
    first = file.failure.error
    if isinstance(first, OSError):
        raise failure("read", path, first) from first
    if first is not None and first is not instead_of:
        raise first


@contextmanager
def refused_pictures(path: Path) -> Iterator[None]:
    """Raise BadInput for pictures of the source that come out of the decoder and that no filter takes."""
    try:
        yield
    except FFmpegError as error:
        if error.errno == errno.ENOMEM:
            raise
        raise BadInput(
            f"{path}: its pictures cannot be processed ({error}); the file is damaged, repair it or convert it to a "
            "common codec first",
            fault=Fault.DAMAGED,
        ) from error


def use_threads(stream: VideoStream, most: int) -> None:
    """Let a stream be decoded by up to `most` threads, before its first packet."""
    context = stream.codec_context
    stream.thread_type = "SLICE" if context.name in _NO_FRAME_THREADS else "AUTO"
    context.thread_count = most


def _open_on(hardware: str, path: Path, file: Readable, warn: Callable[[str], None]) -> InputContainer | None:
    """Open with hardware decoding; None, after a warning, where it cannot be had."""
    try:
        return _open_container(path, file, HWAccel(hardware, allow_software_fallback=True))
    except (BadInput, FFmpegError, ValueError, RuntimeError, NotImplementedError) as error:
        warn(f"hardware decoding ({hardware}) is not available here ({error}); decoded on the CPU instead")
        file.seek(0)
        return None


def _open_container(path: Path, file: Readable, hwaccel: HWAccel | None = None) -> InputContainer:
    try:
        container: InputContainer = av.open(
            file,
            mode="r",
            **SOURCE_TEXT,
            buffer_size=_READ_BLOCK,
            hwaccel=hwaccel,
            container_options=_DEMUXING,
        )
        return container
    except FFmpegError as error:
        raise BadInput(
            f"{path} is not a video file that can be read ({error.strerror or error}); "
            "playlists and unknown formats are refused, a damaged file has to be repaired or copied again"
        ) from error
    except (ValueError, UnicodeError) as error:
        raise BadInput(f"{path} is not a video file that can be read ({error})") from error


@contextmanager
def open_own(path: Path) -> Iterator[InputContainer]:
    """Open a file this package wrote into a directory of its own. Raises FlashVSRError or Transient."""
    with _read_back(path, lambda: OWN.open_file(path, os.O_RDONLY)) as container:
        yield container


@contextmanager
def open_made(path: Path, opener: Opener) -> Iterator[InputContainer]:
    """Open a file this package wrote where others may write, by its descriptor. Raises FlashVSRError or Transient."""
    with _read_back(path, lambda: opener(path, os.O_RDONLY)) as container:
        yield container


@contextmanager
def _read_back(path: Path, open_it: Callable[[], int]) -> Iterator[InputContainer]:
    try:
        file = ReadFile(open_it())
    except OSError as error:
        raise failure("read", path, error) from error
    with _failing_as_it_did(file, path), closing(file):
        try:
            container = av.open(file, mode="r", buffer_size=_READ_BLOCK)
        except FFmpegError as error:
            raise FlashVSRError(f"{printable(path)} cannot be read back: {error}") from error
        container.flags &= ~_GENERATE_PTS
        try:
            yield container
        finally:
            container.close()


def packets(
    container: InputContainer, path: Path, streams: Iterable[Stream], damaged: Callable[[], None]
) -> Iterator[Packet[Stream]]:
    """Yield the packets of `streams` in file order, without the empty packets PyAV adds at the end.

    `damaged` is called for each place the demuxer could not read; demuxing goes on after it. Raises Transient
    when the operating system fails.
    """
    wanted = tuple(streams)
    failures = 0
    while failures < _MAX_CONSECUTIVE_ERRORS:
        try:
            for packet in container.demux(*wanted):
                failures = 0
                if packet.size:
                    yield packet
            return
        except AvEOFError:
            return
        except (FFmpegError, IndexError):  # IndexError: PyAV met a packet of a stream that the header did not name
            failures += 1
            damaged()
