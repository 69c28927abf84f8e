"""Opening media files: local files only, a fixed list of container formats, and one place that sorts errors.

Sources are read through a Python file object. That gives three things: the file is opened read-only, FFmpeg
never sees a name that it could take for a URL, and a failing disk or share raises the operating system's own
OSError, which can be told from FFmpeg's errors about damaged content.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import av
from av.codec.hwaccel import HWAccel
from av.error import EOFError as AvEOFError
from av.error import FFmpegError

from flashvsr.errors import BadInput, FlashVSRError, Transient
from flashvsr.video.counted import CountedFile, Progress, nothing
from flashvsr.video.pyav import SOURCE_TEXT

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
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

Identity = tuple[int, int, int, int]  # device, inode, size, time of change in nanoseconds

_READ_BLOCK = 1 << 18  # bytes per read: network shares answer few large reads faster than many small ones
_WRITE_BLOCK = 1 << 20
_MAX_CONSECUTIVE_ERRORS = 100  # a demuxer that fails this often in a row is not going to recover
_GENERATE_PTS = 0x1  # AVFMT_FLAG_GENPTS
# Decoders of FFmpeg whose threads can wait for each other for ever in a damaged file, when each takes a frame of its
# own. They may share the slices of one frame.
_NO_FRAME_THREADS = frozenset({"hevc"})

_ENVIRONMENT_ERRNOS = frozenset({
    errno.EIO, errno.ESTALE, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENODEV,
    errno.ENXIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EBUSY, errno.ETIMEDOUT, errno.ENOTCONN,
    errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ECONNRESET, errno.EFBIG, errno.ENOENT, errno.ENOTDIR,
})  # fmt: skip

_ADVICE = {
    errno.ENOSPC: "free some space on that file system",
    errno.EDQUOT: "the quota there is used up",
    errno.EROFS: "that file system is mounted read-only",
    errno.EACCES: "give the service's user access to it",
    errno.EPERM: "give the service's user access to it",
    errno.ESTALE: "the network share went away; check that it is mounted",
    errno.EIO: "the disk or network share reports an error; check its health",
}


def identity_of(status: os.stat_result) -> Identity:
    """What tells a file, as it is now, from any other."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def transient(path: Path, doing: str, error: OSError) -> Transient:
    """Describe an operating-system failure on `path`. `doing` is a gerund: "reading", "writing"."""
    reason = error.strerror or str(error)
    advice = _ADVICE.get(error.errno or 0, "the job is tried again later")
    return Transient(f"{doing} {path} failed: {reason}; {advice}")


def write_error(path: Path, error: Exception) -> FlashVSRError:
    """Sort an exception raised while writing `path`: a full disk and the like are `Transient`."""
    if isinstance(error, OSError) and error.errno in _ENVIRONMENT_ERRNOS:
        return transient(path, "writing", error)
    return FlashVSRError(f"writing {path} failed: {error}")


@contextmanager
def open_source(
    path: Path,
    progress: Progress = nothing,
    hardware: str = "",
    warn: Callable[[str], None] = lambda _: None,
    known: Identity | None = None,
) -> Iterator[InputContainer]:
    """Open a source file for demuxing and close it afterwards. `progress` is called as it is read.

    `hardware`: a device type such as "cuda" to decode on; where there is none, `warn` hears of it and the CPU decodes.
    `known`: the file that it has to be, of which it is known that it can be opened; Transient for another one.

    Raises BadInput when the file is missing, empty, not a regular file or not a known media format, and
    Transient when the operating system fails to read it.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadInput(f"{path} is not a regular file")
        if status.st_size == 0:
            raise BadInput(f"{path} is empty; copy the video again")
        file = CountedFile(path, "rb", progress)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadInput(f"{path} does not exist") from error
    except OSError as error:
        raise transient(path, "opening", error) from error
    with file:
        if known is not None and identity_of(os.fstat(file.fileno())) != known:
            raise Transient(f"{path} was changed or exchanged while it was worked on; it is tried again as it is now")
        container = _open_on(hardware, path, file, warn) if hardware else None
        container = container or _open_container(path, file)
        # PyAV asks libavformat to invent missing timestamps, which shifts B-frame streams in AVI by the
        # reorder delay.
        container.flags &= ~_GENERATE_PTS
        try:
            yield container
        finally:
            container.close()


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
            "common codec first"
        ) from error


def use_threads(stream: VideoStream, most: int) -> None:
    """Let a stream be decoded by up to `most` threads, before its first packet."""
    context = stream.codec_context
    stream.thread_type = "SLICE" if context.name in _NO_FRAME_THREADS else "AUTO"
    context.thread_count = most


class _Readable:
    """A source for FFmpeg. Damaged files send it to places before the file's start, which is no failure of the disk."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read = file.read
        self.tell = file.tell
        self.seekable = file.seekable
        self._file = file

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move; a negative number, which FFmpeg takes for an error, where there is no such place."""
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return -errno.EINVAL
        except OverflowError:
            return -errno.EINVAL


def _open_on(hardware: str, path: Path, file: IO[bytes], warn: Callable[[str], None]) -> InputContainer | None:
    """Open with hardware decoding; None, after a warning, where it cannot be had."""
    try:
        return _open_container(path, file, HWAccel(hardware, allow_software_fallback=True))
    except (BadInput, FFmpegError, ValueError, RuntimeError, NotImplementedError) as error:
        warn(f"hardware decoding ({hardware}) is not available here ({error}); decoded on the CPU instead")
        file.seek(0)
        return None


def _open_container(path: Path, file: IO[bytes], hwaccel: HWAccel | None = None) -> InputContainer:
    try:
        container: InputContainer = av.open(
            _Readable(file),
            mode="r",
            **SOURCE_TEXT,
            buffer_size=_READ_BLOCK,
            hwaccel=hwaccel,
            container_options={"format_whitelist": ",".join(SOURCE_FORMATS), "protocol_whitelist": "file"},
        )
        return container
    except FFmpegError as error:
        raise BadInput(
            f"{path} is not a video file that can be read ({error.strerror or error}); "
            "playlists and unknown formats are refused, a damaged file has to be repaired or copied again"
        ) from error
    except OSError as error:
        raise transient(path, "reading", error) from error
    except (ValueError, UnicodeError) as error:
        raise BadInput(f"{path} is not a video file that can be read ({error})") from error


@contextmanager
def open_own(path: Path) -> Iterator[InputContainer]:
    """Open a file this package wrote (a chunk or a result). Raises FlashVSRError or Transient."""
    try:
        container = av.open(f"file:{path}", mode="r", container_options={"protocol_whitelist": "file"})
    except FFmpegError as error:
        if isinstance(error, OSError) and error.errno in _ENVIRONMENT_ERRNOS:
            raise transient(path, "reading", error) from error
        raise FlashVSRError(f"{path} cannot be read back: {error}") from error
    container.flags &= ~_GENERATE_PTS
    try:
        yield container
    finally:
        container.close()


def create(path: Path, container_format: str, options: dict[str, str] | None = None) -> OutputContainer:
    """Create a media file for writing. The `file:` prefix keeps names with colons from being read as URLs."""
    return av.open(f"file:{path}", mode="w", format=container_format, container_options=options or {})


@contextmanager
def create_told(
    path: Path, container_format: str, options: dict[str, str] | None, progress: Progress
) -> Iterator[OutputContainer]:
    """Like `create`, and closed afterwards; `progress` is called as bytes are written, also during the closing."""

    def again(_url: str, _flags: int, _options: object) -> CountedFile:
        return CountedFile(path, "rb", progress)  # the MP4 muxer moves its index to the front of the file

    with (
        CountedFile(path, "w+b", progress) as file,
        av.open(
            file,
            mode="w",
            format=container_format,
            container_options=options or {},
            buffer_size=_WRITE_BLOCK,
            io_open=again,
        ) as container,
    ):
        yield container


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
        except OSError as error:
            raise transient(path, "reading", error) from error
