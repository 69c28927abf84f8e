"""Media files on their way to the disk: what errors mean, and that no file stays open."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import av
import pytest
from av.error import FFmpegError, InvalidDataError

from flashvsr.errors import FlashVSRError, Interrupted, NoSpace, Transient
from flashvsr.video.digests import RunningDigest
from flashvsr.video.writing import MediaWriter, create, write_error
from kits.videos import numbered


def opened(folder: Path) -> list[str]:
    """The files of a folder that this process has open."""
    links = [str(name.readlink()) for name in Path("/proc/self/fd").iterdir() if name.is_symlink()]
    return [link for link in links if link.startswith(str(folder))]


def fill(out: av.container.OutputContainer, frames: int = 3) -> None:
    stream = out.add_stream("mpeg4", rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(numbered(number, 64, 64), format="rgb24").reformat(format="yuv420p")
        frame.pts = number
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, NoSpace), (errno.EIO, Transient), (errno.ESTALE, Transient), (errno.ENOENT, Transient),
        (errno.ENOMEM, Transient),
    ],
)  # fmt: skip
def test_what_the_system_says_may_pass(code: int, kind: type[Exception]) -> None:
    assert isinstance(write_error(Path("a.mp4"), OSError(code, os.strerror(code))), kind)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EINVAL, errno.ENOENT])
def test_what_ffmpeg_says_with_the_systems_numbers_is_about_the_content(code: int) -> None:
    assert type(write_error(Path("a.mp4"), FFmpegError(code, "refused"))) is FlashVSRError
    assert type(write_error(Path("a.mp4"), ValueError("odd"))) is FlashVSRError


def test_a_lack_of_memory_passes_whoever_says_so() -> None:
    assert isinstance(write_error(Path("a.mp4"), av.error.MemoryError(errno.ENOMEM, "none")), Transient)


def test_a_format_that_there_is_not_leaves_no_file_open(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nonsense") as caught:
        MediaWriter(tmp_path / "a", "nonsense")
    assert opened(tmp_path) == [], caught  # which holds on to all that was there


@pytest.mark.parametrize("error", [Interrupted("stop"), InvalidDataError(1, "odd"), KeyboardInterrupt()], ids=repr)
def test_what_is_given_up_is_never_a_whole_file(error: BaseException, tmp_path: Path) -> None:
    def write() -> None:
        with create(tmp_path / "a.mp4", "mp4") as out:
            fill(out)
            raise error

    with pytest.raises(type(error)):
        write()
    assert opened(tmp_path) == []
    with pytest.raises(InvalidDataError), av.open(str(tmp_path / "a.mp4")):
        pass


@pytest.mark.parametrize("error", [Interrupted("stop"), OSError(errno.EIO, "error")], ids=repr)
def test_a_file_that_could_not_be_written_is_closed_when_that_is_told(error: Exception, tmp_path: Path) -> None:
    def progress() -> None:
        raise error

    with (
        pytest.raises((Interrupted, Transient)) as caught,
        create(tmp_path / "a.mkv", "matroska", progress=progress) as out,
    ):
        fill(out)
    assert isinstance(caught.value, Transient if isinstance(error, OSError) else Interrupted)
    assert opened(tmp_path) == []


def test_a_digest_that_cannot_be_finished_leaves_no_file_open(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")

    def progress() -> None:
        raise Interrupted("stop")

    digest = RunningDigest(tmp_path / "a")
    with pytest.raises(Interrupted):
        digest.finish("", progress)
    assert opened(tmp_path) == []
