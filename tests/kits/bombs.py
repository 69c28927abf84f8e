"""Small files that ask for much: memory, time. They are sparse where lengths have to be true; each takes a few KB."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

MIB = 1 << 20
EACH = 20 * MIB
VP8_KEY_FRAME = b"\x10\x02\x00\x9d\x01\x2a\x40\x00\x40\x00" + bytes(40)  # begins a picture of 64x64


def sparse(path: Path, *parts: bytes | int) -> Path:
    """Write bytes, and holes of so many bytes."""
    with path.open("wb") as file:
        for part in parts:
            file.seek(part, 1) if isinstance(part, int) else file.write(part)
        file.truncate(file.tell())
    return path


def element(name: str, data: bytes, more: int = 0) -> bytes:
    """An EBML element, whose data is `more` bytes longer than what is given here."""
    return bytes.fromhex(name) + (len(data) + more | 1 << 56).to_bytes(8, "big") + data


def number(name: str, value: int) -> bytes:
    return element(name, value.to_bytes(8, "big"))


def matroska(*parts: bytes) -> bytes:
    """The beginning of a file with one VP8 track of 64x64, up to what comes before the first cluster."""
    head = element("1a45dfa3", element("4282", b"matroska") + number("4287", 4) + number("4285", 2))
    size = element("e0", number("b0", 64) + number("ba", 64))
    track = element("ae", number("d7", 1) + number("73c5", 1) + number("83", 1) + element("86", b"V_VP8") + size)
    info = element("1549a966", number("2ad7b1", 1000000))
    return (
        head + bytes.fromhex("18538067") + b"\x01" + b"\xff" * 7 + info + element("1654ae6b", track) + b"".join(parts)
    )


CLUSTER = element("1f43b675", number("e7", 0) + element("a3", b"\x81\0\0\x80" + VP8_KEY_FRAME))


def attachments(path: Path, count: int = 10, each: int = EACH) -> Path:
    """Fonts of `each` bytes, all of them holes."""
    heads = []
    for n in range(count):
        about = element("466e", b"%d.ttf" % n) + element("4660", b"font/ttf") + number("46ae", 100 + n)
        about += element("465c", b"", each)
        heads.append(element("61a7", about, each))
    total = sum(map(len, heads)) + count * each
    parts = [part for head in heads for part in (head, each)]
    return sparse(path, matroska(element("1941a469", b"", total)), *parts, CLUSTER)


def tags(path: Path, count: int = 10_000) -> Path:
    """As many tags, each of another name."""
    simple = b"".join(element("67c8", element("45a3", b"T%d" % n) + element("4487", b"x")) for n in range(count))
    return sparse(path, matroska(element("1254c367", element("7373", element("63c0", b"") + simple))), CLUSTER)


def texts(path: Path, count: int = 12, each: int = 15 * MIB) -> Path:
    """Tags of long texts, all of them holes."""
    head = element("67c8", element("45a3", b"T") + element("4487", b"", each), each)
    total = count * (len(head) + each)
    start = element("1254c367", element("7373", b"", total), total)
    return sparse(path, matroska(start), *(head, each) * count, CLUSTER)


def chapters(path: Path, count: int = 100_000) -> Path:
    atoms = b"".join(element("b6", number("73c4", n + 1) + number("91", n * 1000)) for n in range(count))
    return sparse(path, matroska(element("1043a770", element("45b9", atoms))), CLUSTER)


def one_packet(path: Path, size: int = 100 * MIB) -> Path:
    """After a picture that can be shown, one of `size` bytes."""
    head = element("1f43b675", number("e7", 40) + element("a3", b"\x81\0\0\x80", size), size)
    return sparse(path, matroska(), CLUSTER, head, size)


def atom(name: bytes, *parts: bytes, more: int = 0) -> bytes:
    """An MP4 box, whose content is `more` bytes longer than what is given here."""
    data = b"".join(parts)
    return struct.pack(">I4s", len(data) + 8 + more, name) + data


def mp4(
    *extra: bytes, tracks: int = 1, entries: int = 1, sample_size: int = 0, sizes: bytes = bytes(4), start: int = 48,
) -> bytes:  # fmt: skip
    """A track of raw pictures of 64x64 that claims `entries` samples from byte `start` on; `sizes`: their table."""
    entry = struct.pack(">6xH16xHHII4xH32xHh", 1, 64, 64, 72 << 16, 72 << 16, 1, 24, -1)
    stbl = atom(
        b"stbl",
        atom(b"stsd", struct.pack(">II", 0, 1), atom(b"raw ", entry)),
        atom(b"stts", struct.pack(">IIII", 0, 1, entries, 1)),
        atom(b"stsc", struct.pack(">IIIII", 0, 1, 1, entries, 1)),
        atom(b"stsz", struct.pack(">III", 0, sample_size, entries), sizes),
        atom(b"stco", struct.pack(">III", 0, 1, start)),
    )
    dinf = atom(b"dinf", atom(b"dref", struct.pack(">II", 0, 1), atom(b"url ", struct.pack(">I", 1))))
    minf = atom(b"minf", atom(b"vmhd", bytes(12)), dinf, stbl)
    handler = atom(b"hdlr", struct.pack(">II4s12xx", 0, 0, b"vide"))
    mdia = atom(b"mdia", atom(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 25, 25, 0, 0)), handler, minf)
    header = struct.pack(">IIIIII8xhhhH36sII", 0, 0, 0, 1, 0, 25, 0, 0, 0, 0, bytes(36), 64 << 16, 64 << 16)
    trak = atom(b"trak", atom(b"tkhd", header), mdia)
    mvhd = atom(b"mvhd", struct.pack(">IIIII80x", 0, 0, 0, 25, 25))
    return atom(b"ftyp", b"isom\0\0\2\0isom") + atom(b"moov", mvhd, trak * tracks, *extra)


def cover(path: Path, size: int = 1 << 30) -> Path:
    """Cover art in an MP4's metadata."""
    data = atom(b"data", struct.pack(">II", 13, 0), more=size)
    ilst = atom(b"ilst", atom(b"covr", data, more=size), more=size)
    meta = atom(b"meta", bytes(4), atom(b"hdlr", struct.pack(">II4s12xx", 0, 0, b"mdir")), ilst, more=size)
    return sparse(path, _grown(mp4(atom(b"udta", meta, more=size)), size, b"moov"), size)


def _grown(whole: bytes, more: int, *names: bytes) -> bytes:
    """With boxes that say they are longer."""
    for name in names:
        at = whole.index(name) - 4
        length = struct.unpack_from(">I", whole, at)[0] + more
        whole = whole[:at] + struct.pack(">I", length) + whole[at + 4 :]
    return whole


def samples(path: Path) -> Path:
    """2³¹ - 1 samples of one byte: no table is needed to claim them."""
    return sparse(path, mp4(entries=(1 << 31) - 1, sample_size=1))


def sample_table(path: Path) -> Path:
    """A table of the sizes of 60 million samples, all of them a hole."""
    entries = 60_000_000
    whole = _grown(mp4(entries=entries, sizes=b""), 4 * entries, b"stsz", b"stbl", b"minf", b"mdia", b"trak", b"moov")
    at = whole.index(b"stsz") + 16  # behind which the table is
    return sparse(path, whole[:at], 4 * entries, whole[at:])


def large_sample(path: Path, size: int) -> Path:
    """A picture, and one of `size` bytes behind it."""
    sizes = struct.pack(">II", 64 * 64 * 3, size)
    start = len(mp4(entries=2, sizes=sizes)) + 8
    mdat = struct.pack(">I4s", 8 + 64 * 64 * 3 + size, b"mdat")
    return sparse(path, mp4(entries=2, sizes=sizes, start=start), mdat, 64 * 64 * 3, size)


def many_tracks(path: Path, count: int = 3000) -> Path:
    return sparse(path, mp4(tracks=count))


def id3(path: Path, size: int = 250 * MIB) -> Path:
    """Cover art in front of an MP3 that is none."""
    frame = b"APIC" + _syncsafe(size) + bytes(2) + b"\0image/png\0\3\0"
    return sparse(path, b"ID3\4\0\0" + _syncsafe(len(frame) + size) + frame, size, b"\xff\xfb\x90\0" + bytes(413))


def _syncsafe(value: int) -> bytes:
    return bytes(value >> shift & 127 for shift in (21, 14, 7, 0))


def comments(path: Path, pages: int = 600) -> Path:
    """A Vorbis comment of 40 megabytes in Ogg: pages of 64 KiB, of which each continues the one before."""
    first = b"\1vorbis" + struct.pack("<IBIiiiBB", 0, 2, 48000, 0, 128000, 0, 0xB8, 1)
    parts: list[bytes | int] = [_page(2, 0, bytes([len(first)])) + first]
    for n in range(pages):
        parts += [_page(1 if n else 0, n + 1, b"\xff" * 255), b"\3vorbis" if n == 0 else b"", 255 * 255 - 7 * (n == 0)]
    return sparse(path, *parts)


def _page(flags: int, sequence: int, segments: bytes) -> bytes:
    return struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 0, 1, sequence, 0, len(segments)) + segments


def png(path: Path, side: int = 65535) -> Path:
    """A picture of `side` times `side` points, of which next to nothing is there."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    control = chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(
        b"fcTL", struct.pack(">IIIIIHHBB", 0, side, side, 0, 0, 1, 25, 0, 0)
    )
    body = chunk(b"IHDR", header) + control + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return sparse(path, b"\x89PNG\r\n\x1a\n" + body)


def gif(path: Path, side: int = 65535) -> Path:
    size = struct.pack("<HH", side, side)
    return sparse(
        path, b"GIF89a" + size + b"\x80\0\0" + bytes(6) + b"," + bytes(4) + size + b"\0\2\2\x4c\1\0" * 2 + b";"
    )


def webp(path: Path, side: int = 16383) -> Path:
    bits = (side - 1) | (side - 1) << 14
    data = b"\x2f" + struct.pack("<I", bits) + bytes(200)
    return sparse(path, b"RIFF" + struct.pack("<I", len(data) + 12) + b"WEBPVP8L" + struct.pack("<I", len(data)) + data)


def yuv4mpeg(path: Path, side: int = 65535) -> Path:
    return sparse(path, b"YUV4MPEG2 W%d H%d F25:1 C444p16\nFRAME\n" % (side, side), 1 << 30)


def wave(path: Path, size: int = 1 << 30) -> Path:
    """A chunk of text of `size` bytes, of which the RIFF reader makes metadata."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 48000, 192000, 4, 16)
    text = struct.pack("<4sI4s4sI", b"LIST", size + 12, b"INFO", b"ICMT", size)
    return sparse(path, b"RIFF" + struct.pack("<I", size + 100) + b"WAVE" + form + text, size, b"data" + bytes(4))


def avi_index(path: Path, entries: int = 2_000_000) -> Path:
    """An index of many entries, all of them a hole, behind one picture."""
    main = struct.pack("<14I", 40000, 0, 0, 0x10, 1, 0, 1, 0, 64, 64, 0, 0, 0, 0)
    head = struct.pack("<4s4sIHHIIIIIIII4H", b"vids", b"MJPG", 0, 0, 0, 0, 1, 25, 0, 1, 0, 0, 0, 0, 0, 64, 64)
    form = struct.pack("<IiiHH4sIiiII", 40, 64, 64, 1, 24, b"MJPG", 12288, 0, 0, 0, 0)
    strl = _list(b"strl", _riff(b"strh", head) + _riff(b"strf", form))
    movi = _list(b"movi", _riff(b"00dc", b"\xff\xd8\xff\xd9" * 16))
    body = _list(b"hdrl", _riff(b"avih", main) + strl) + movi + struct.pack("<4sI", b"idx1", 16 * entries)
    return sparse(path, b"RIFF" + struct.pack("<I", len(body) + 16 * entries + 4) + b"AVI " + body, 16 * entries)


def _riff(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data


def _list(name: bytes, data: bytes) -> bytes:
    return _riff(b"LIST", name + data)


BOMBS: dict[str, Callable[[Path], Path]] = {
    "attachments.mkv": attachments,
    "tags.mkv": tags,
    "texts.mkv": texts,
    "chapters.mkv": chapters,
    "cover.mp4": cover,
    "samples.mp4": samples,
    "table.mp4": sample_table,
    "tracks.mov": many_tracks,
    "id3.mp3": id3,
    "comments.ogg": comments,
    "large.png": png,
    "large.gif": gif,
    "large.webp": webp,
    "large.y4m": yuv4mpeg,
    "text.wav": wave,
    "index.avi": avi_index,
    "packet.mkv": one_packet,
}
