"""Closed captions (CEA-608 and 708) that travel inside the picture: from decoded frames into the encoded packets.

Encoders differ in what they take along. So the message that carries the captions is put into their packets here, the
same for all of them: ATSC A/53's user data, as an SEI of H.264 and HEVC, as metadata of AV1.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from av.packet import Packet

if TYPE_CHECKING:
    from av.buffer import Buffer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_TRIPLET, _MOST = 3, 31  # bytes of one item, and items in one message
_COUNTRY, _USER_DATA = b"\xb5", b"\x00\x31GA94\x03"  # United States; ATSC's, of captions
_T35, _AV1_T35 = b"\x04", b"\x04"  # the kinds of SEI and of metadata that carry them
_NAL = {"h264": b"\x06", "hevc": b"\x4e\x01"}  # headers of an SEI before the picture
_START = re.compile(rb"\x00?\x00\x00\x01(.)", re.DOTALL)
_EMULATED = re.compile(rb"\x00\x00(?=[\x00-\x03])")
_OBU_METADATA, _OBU_FRAMES = 5, frozenset({3, 4, 6})


class Captions:
    """Hands the captions of frames, which come in order of time, from the decoder's thread to the encoder's."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, bytes]] = deque()

    def note(self, frame: VideoFrame, pts: int) -> None:
        """Take the captions of a decoded frame, if it has any. `pts`: output ticks."""
        data = cast("Buffer | None", frame.side_data.get("A53_CC"))
        if data is not None:
            self._waiting.append((pts, bytes(data)))

    def take(self, pts: int) -> bytes:
        """Those of the frame at `pts`. Earlier ones, whose frames were not wanted, are forgotten."""
        while self._waiting and self._waiting[0][0] <= pts:
            at, data = self._waiting.popleft()
            if at == pts:
                return data
        return b""


def with_captions(packet: Packet[VideoStream], codec: str, captions: bytes) -> Packet[VideoStream]:
    """A packet of h264 or hevc (with start codes) or of av1, with captions (of 3 bytes each) put before its picture."""
    data = bytes(packet)
    at = _obu_place(data) if codec == "av1" else _nal_place(data, codec)
    messages = b"".join(_message(codec, user_data) for user_data in _user_data(captions))
    fuller: Packet[VideoStream] = cast("Packet[VideoStream]", Packet(data[:at] + messages + data[at:]))
    fuller.stream, fuller.time_base = packet.stream, packet.time_base
    fuller.pts, fuller.dts, fuller.duration = packet.pts, packet.dts, packet.duration
    fuller.is_keyframe = packet.is_keyframe
    for fact in packet.iter_sidedata():
        fuller.set_sidedata(fact)
    return fuller


def _user_data(captions: bytes) -> Iterator[bytes]:
    for start in range(0, len(captions) - len(captions) % _TRIPLET, _TRIPLET * _MOST):
        part = captions[start : start + _TRIPLET * _MOST]
        yield _USER_DATA + bytes([0x40 | len(part) // _TRIPLET, 0xFF]) + part + b"\xff"


def _message(codec: str, user_data: bytes) -> bytes:
    payload = _COUNTRY + user_data
    if codec == "av1":
        content = _AV1_T35 + payload + b"\x80"
        return bytes([_OBU_METADATA << 3 | 2]) + _leb128(len(content)) + content
    size = b"\xff" * (len(payload) // 255) + bytes([len(payload) % 255])
    return b"\x00\x00\x00\x01" + _NAL[codec] + _EMULATED.sub(b"\x00\x00\x03", _T35 + size + payload + b"\x80")


def _nal_place(data: bytes, codec: str) -> int:
    """Where the first slice begins, with its start code."""
    for found in _START.finditer(data):
        kind = found[1][0] & 31 if codec == "h264" else found[1][0] >> 1 & 63
        if 1 <= kind <= 5 if codec == "h264" else kind < 32:
            return found.start()
    return 0


def _obu_place(data: bytes) -> int:
    """Where the first frame begins in a unit of AV1; in front of it may be headers."""
    at = 0
    while at < len(data) and data[at] >> 3 & 15 not in _OBU_FRAMES:
        if not data[at] & 2:  # without its length it is the last one
            break
        size_at = at + (2 if data[at] & 4 else 1)
        size, width = 0, 0
        while True:
            byte = data[size_at + width]
            size |= (byte & 127) << 7 * width
            width += 1
            if not byte & 128:
                break
        at = size_at + width + size
    return min(at, len(data))


def _leb128(value: int) -> bytes:
    made = bytearray()
    while value >= 128:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])
