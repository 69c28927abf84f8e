"""Files that give a frame the time at which it is decoded, where it should be the one at which it is shown.

AVI knows no other times. Elsewhere some muxers leave the second one out, so that B-frames carry times that go back and
forth. The times themselves are right, only dealt out wrongly: the frames come out of the decoder in their order, and
get the same times in theirs.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from av.error import FFmpegError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

T = TypeVar("T")

_EXAMINED = 64  # packets: more than any group of B-frames
_REORDERED = 16  # places that a frame is moved at most by reordering, in all codecs


def has_decode_times(container_format: str, stream: VideoStream, packets: Iterable[Packet[Stream]]) -> bool:
    """Whether the frames of a stream that reorders them carry decode times, as far as its first `packets` tell.

    Times that rise from packet to packet although the frames come out in another order are such.
    """
    if container_format == "avi":
        return True
    found: list[Packet[Stream]] = []
    before: int | None = None
    for packet in packets:
        if packet.pts is not None:
            if before is not None and packet.pts <= before:
                return False
            before = packet.pts
        found.append(packet)
        if len(found) == _EXAMINED:
            break
    shown: int | None = None
    for packet in found:
        try:
            frames = stream.decode(cast("Packet[VideoStream]", packet))
        except FFmpegError:
            continue
        for frame in frames:
            if shown is not None and frame.pts is not None and frame.pts < shown:
                return True
            shown = frame.pts if frame.pts is not None else shown
    return False


class DisplayOrder(Generic[T]):
    """Takes frames in the order in which they are shown, with times that are not; gives both in order.

    It holds back 16 frames. `step`: seconds from frame to frame. Times that leave this window are a clock that jumps,
    and begin a new one.
    """

    def __init__(self, step: Fraction) -> None:
        self._far = 2 * _REORDERED * step
        self._frames: deque[tuple[T, bool]] = deque()  # with whether they have a time
        self._times: list[Fraction] = []
        self._last: Fraction | None = None

    def push(self, frame: T, time: Fraction | None) -> Iterator[tuple[T, Fraction | None]]:
        """Take a frame, with its time if it has one, and give those that are ready."""
        if time is not None:
            if self._last is not None and abs(time - self._last) > self._far:
                yield from self.flush()
            heapq.heappush(self._times, time)
            self._last = time
        self._frames.append((frame, time is not None))
        if len(self._frames) > _REORDERED:
            yield self._next()

    def flush(self) -> Iterator[tuple[T, Fraction | None]]:
        """Give what is held back."""
        while self._frames:
            yield self._next()

    def _next(self) -> tuple[T, Fraction | None]:
        frame, timed = self._frames.popleft()
        return frame, heapq.heappop(self._times) if timed else None
