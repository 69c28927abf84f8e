"""Frames into a container: encoded, and with decode times that muxers and players accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flashvsr.errors import FlashVSRError
from flashvsr.video.timing import DecodeClock

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from flashvsr.video.decode import Rgb
    from flashvsr.video.encode import VideoEncoder


class StreamWriter:
    """The video stream of one container. `packets`: written so far. PyAV's errors pass through."""

    def __init__(self, container: OutputContainer, encoder: VideoEncoder) -> None:
        self.packets = 0
        self._container = container
        self._encoder = encoder
        self._stream: VideoStream = encoder.add_stream(container)
        self._clock = DecodeClock(encoder.reorder_depth, encoder.format.step)

    def write(self, rgb: Rgb, pts: int) -> None:
        """Encode one frame, (height, width, 3) uint8 or uint16. `pts`: output ticks, larger than the frame's before."""
        self._mux(self._stream.encode(self._encoder.frame(rgb, pts)))

    def finish(self) -> None:
        """Write what the encoder holds back."""
        self._mux(self._stream.encode(None))

    def _mux(self, encoded: list[Packet[VideoStream]]) -> None:
        for packet in encoded:
            if packet.pts is None:
                raise FlashVSRError(
                    f"{self._encoder.name} lost a timestamp; set another encoder or codec in the settings"
                )
            packet.dts = self._clock.dts(packet.pts)
            self._container.mux(packet)
            self.packets += 1
