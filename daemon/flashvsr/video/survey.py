"""What no header tells, but a file's packets: how its clock runs, and which tracks belong together.

Recordings (transport and program streams) are read through once for that; nothing is decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flashvsr.video.counted import Progress
from flashvsr.video.media import open_source, packets
from flashvsr.video.order import has_decode_times
from flashvsr.video.renumber import Renumbering, TableWatch, renumbered
from flashvsr.video.timeline import JOINABLE, Joint, JumpFinder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

_FURTHER = 2  # times as many packets as frames are wanted are looked through: a frame may come as two fields
_FURTHER_PACKETS = 500  # and so many more, for decoders that hold frames back


@dataclass(frozen=True)
class Survey:
    """See the fields of `flashvsr.video.probe.SourceInfo` of these names."""

    joints: tuple[Joint, ...] = ()
    foreign: tuple[int, ...] = ()
    renumberings: tuple[Renumbering, ...] = ()
    decode_times: bool = False
    begun: int = 0
    pictures: int | None = None


def survey(
    path: Path,
    container: InputContainer,
    picture: VideoStream,
    known: Sequence[Renumbering],
    progress: Progress,
    wanted: int | None = None,
) -> Survey:
    """Look through the file that is open as `container`, with the `known` renumberings applied.

    `wanted`: so many frames of its beginning; what lies well behind them is not read. None for all.
    Where others are found, the tracks are not yet those of the whole file: open it with them, and look again.
    """
    form = container.format.name
    if form not in JOINABLE:
        return Survey(decode_times=_has_decode_times(path, form, picture, known, progress))
    watch, finder = TableWatch(picture.id), JumpFinder(picture.index)
    with open_source(path, progress, view=renumbered(known, watch if form == "mpegts" else None)) as whole:
        tracks = [s for s in whole.streams if s.type == "audio" or s.index == picture.index]
        for packet in _as_far(packets(whole, path, tracks, lambda: None), picture.index, wanted):
            finder.see(packet)
    foreign = tuple(stream.index for stream in container.streams if stream.id in watch.strangers)
    return Survey(
        joints=finder.joints(foreign),
        foreign=foreign if form == "mpegts" else (),
        renumberings=tuple(known or watch.found),
        decode_times=_has_decode_times(path, form, picture, known, progress),
        begun=len(watch.begun),
        pictures=finder.pictures,
    )


def _as_far(found: Iterable[Packet[Stream]], picture: int, wanted: int | None) -> Iterator[Packet[Stream]]:
    """Pass packets on until well behind the wanted frames."""
    seen = 0
    for packet in found:
        yield packet
        seen += packet.stream_index == picture
        if wanted is not None and seen > _FURTHER * wanted + _FURTHER_PACKETS:
            return


def _has_decode_times(
    path: Path, container_format: str, picture: VideoStream, known: Sequence[Renumbering], progress: Progress
) -> bool:
    if not picture.codec_context.has_b_frames:
        return False  # nothing is reordered
    with open_source(path, progress, view=renumbered(known)) as container:
        stream = next(s for s in container.streams.video if s.index == picture.index)
        return has_decode_times(container_format, stream, packets(container, path, [stream], lambda: None))
