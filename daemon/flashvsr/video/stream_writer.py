"""Frames into a container: encoded, and with decode times that muxers and players accept."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from flashvsr.errors import FlashVSRError
from flashvsr.video.captions import Captions, with_captions
from flashvsr.video.timing import DecodeClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from flashvsr.video.decode import Rgb
    from flashvsr.video.encode import VideoEncoder


def stand(packets: Sequence[Packet[VideoStream]], ticks: int) -> None:
    """Let a video's last picture stand, which is one of its last `packets`, for `ticks` of their clock.

    It tells muxers of MP4 where the edit ends, and all others how long it is shown. The packet that is decoded last
    tells where an MP4's track ends.
    """
    for packet in {id(p): p for p in (max(packets, key=lambda p: p.pts or 0), packets[-1])}.values():
        packet.duration = ticks


class StreamWriter:
    """The video stream of one container. `packets`: written so far. PyAV's errors pass through.

    `captions`: those of the frames, by their timestamps; they are put into the packets.

    While one frame is encoded, a thread converts the next one to the encoder's pixels, which takes half as long again.
    """

    def __init__(self, container: OutputContainer, encoder: VideoEncoder, captions: Captions | None = None) -> None:
        self.packets = 0
        self._captions = captions or Captions()
        self._spoken: dict[int, bytes] = {}  # captions of the frames that the encoder has, by timestamp
        self._container = container
        self._encoder = encoder
        self._stream: VideoStream = encoder.add_stream(container)
        self._clock = DecodeClock(encoder.reorder_depth, encoder.format.step)
        self._converter = ThreadPoolExecutor(1, "convert")
        self._converting: Future[VideoFrame] | None = None

    def write(self, rgb: Rgb, pts: int) -> None:
        """Take one frame, (height, width, 3) uint8 or uint16, and encode the one before it.

        `pts`: output ticks, larger than the frame's before.
        """
        captions = self._captions.take(pts)
        if captions:
            self._spoken[pts] = captions
        before, self._converting = self._converting, self._converter.submit(self._encoder.frame, rgb, pts)
        self._encode(before)

    def finish(self, last_step: int | None = None) -> None:
        """Encode the last frame, and write what the encoder holds back.

        `last_step`: ticks that the last frame stands, where the container is to tell.
        """
        before, self._converting = self._converting, None
        self._converter.shutdown(wait=False)
        if before is None:
            self._mux(self._stream.encode(None))
            return
        encoded = [*self._stream.encode(before.result()), *self._stream.encode(None)]
        if last_step is not None:
            stand(encoded, last_step)
        self._mux(encoded)

    def _encode(self, converting: Future[VideoFrame] | None) -> None:
        if converting is not None:
            self._mux(self._stream.encode(converting.result()))

    def _mux(self, encoded: list[Packet[VideoStream]]) -> None:
        for packet in encoded:
            if packet.pts is None:
                raise FlashVSRError(
                    f"{self._encoder.name} lost a timestamp; set another encoder or codec in the settings"
                )
            packet.dts = self._clock.dts(packet.pts)
            captions = self._spoken.pop(packet.pts, b"")
            self._container.mux(with_captions(packet, self._encoder.codec, captions) if captions else packet)
            self.packets += 1
