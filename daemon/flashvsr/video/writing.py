"""Media files on their way to the disk: what is raised is what went wrong first, not what came of it later."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.error import FFmpegError

from flashvsr.errors import FlashVSRError
from flashvsr.files.advice import ENVIRONMENT, GONE, failure
from flashvsr.files.trees import NO_LINKS
from flashvsr.system.text import printable
from flashvsr.video.counted import Opener, Progress, WrittenFile, nothing

if TYPE_CHECKING:
    from av.container import OutputContainer

_WRITE_BLOCK = 1 << 20


def write_error(path: Path, error: Exception) -> FlashVSRError:
    """Sort an exception raised while writing `path`: a full disk and the like are `Transient`.

    Of FFmpeg's own errors only the lack of memory is. It uses the other numbers for what it thinks of the content, and
    the writing is done by Python.
    """
    ours = {errno.ENOMEM} if isinstance(error, FFmpegError) else ENVIRONMENT | GONE
    if isinstance(error, OSError | FFmpegError) and error.errno in ours:
        return failure("write", path, OSError(error.errno, error.strerror))
    return FlashVSRError(f"writing {printable(path)} failed: {error}")


class MediaWriter:
    """A media file that is being written, with FFmpeg's `container` for its streams and packets.

    End it with `finish` or `give_up`. `progress` is called as bytes are written; what it raises ends the writing.
    Raises OSError when the file cannot be created.
    """

    def __init__(
        self,
        path: Path,
        container_format: str,
        options: dict[str, str] | None = None,
        progress: Progress = nothing,
        opener: Opener = NO_LINKS.open_file,
    ) -> None:
        self._path = path
        self._file = WrittenFile(path, progress, opener)
        try:
            self.container: OutputContainer = av.open(
                self._file,
                mode="w",
                format=container_format,
                container_options=options or {},
                buffer_size=_WRITE_BLOCK,
                io_open=self._file.reader,
            )
        except BaseException:
            self._file.abandon()
            raise

    def finish(self) -> None:
        """Write what is left, bring it to the disk, close the file. Raises FFmpegError, or what went wrong first."""
        self.container.close()
        self._file.finish()
        self._raise_failure()

    def give_up(self) -> None:
        """Close the file as it is. Safe at any time."""
        self._file.abandon()
        with suppress(FFmpegError, OSError, ValueError):
            self.container.close()

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Of whatever is raised in here, raise what went wrong first; what the system says in words."""
        try:
            yield
        except Exception as error:
            self._raise_failure()
            if isinstance(error, FFmpegError | OSError):
                raise write_error(self._path, error) from error
            raise

    def _raise_failure(self) -> None:
        first = self._file.failure.error
        if isinstance(first, OSError):
            raise write_error(self._path, first) from first
        if first is not None:
            raise first


@contextmanager
def create(
    path: Path,
    container_format: str,
    options: dict[str, str] | None = None,
    progress: Progress = nothing,
    opener: Opener = NO_LINKS.open_file,
) -> Iterator[OutputContainer]:
    """Write a media file that `opener` opens, from its start.

    Raises what went wrong first: Transient of the file system, or what `progress` raised.

    FFmpeg's errors about content pass through.
    """
    try:
        out = MediaWriter(path, container_format, options, progress, opener)
    except OSError as error:
        raise write_error(path, error) from error
    try:
        yield out.container
        out.finish()
    except BaseException:
        out.give_up()
        out._raise_failure()
        raise
