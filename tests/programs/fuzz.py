"""Damaged variants of small real files through probe, scan detection, decoding and joining; a program of its own.

    python fuzz.py FIRST COUNT DIRECTORY

A variant depends on its number alone. Prints the number before each one, so that after a crash or a hang the last line
names the culprit. Exit code 0: every variant was processed or refused with a reason.
"""

from __future__ import annotations

import faulthandler
import random
import resource
import sys
from pathlib import Path

import av

from flashvsr.errors import BadInput
from flashvsr.video.decode import DecodeOptions, decode
from flashvsr.video.interlacing import examine
from flashvsr.video.limits import Limits
from flashvsr.video.mux import assemble
from flashvsr.video.probe import probe
from kits.paths import SEEDS as SEED_FOLDER
from kits.videos import make_chunks

SEEDS = sorted(path for path in SEED_FOLDER.iterdir() if path.suffix != ".md")
LIMITS = Limits(side=2048, frames=3000)
SIZE = (64, 48)
VARIABLE = "FUZZ_VARIANTS"  # no FLASHVSR_ one: the settings refuse those that they do not know
HANG_SECONDS = 30
BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts", b"ctts", b"stsz", b"stsc", b"stco", b"elst", b"tkhd")


def variant(number: int) -> tuple[str, bytes]:
    """The name and content of a variant."""
    chance = random.Random(number)
    seed = SEEDS[number % len(SEEDS)]
    data = bytearray(seed.read_bytes())
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        chance.choice((flip, flip, header, truncate, swap, zero, repeat, extreme, boxes))(data, chance)
    return f"{number}{seed.suffix}", bytes(data)


def flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 4, 16, 64))):
        if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def header(data: bytearray, chance: random.Random) -> None:
    for _ in range(8):
        if data:
            data[chance.randrange(min(len(data), 600))] = chance.randrange(256)


def truncate(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data) + 1) :]


def spans(data: bytearray, chance: random.Random) -> tuple[int, int, int]:
    size = chance.choice((4, 16, 188, 1000))
    most = max(1, len(data) - size)
    return chance.randrange(most), chance.randrange(most), size


def swap(data: bytearray, chance: random.Random) -> None:
    a, b, size = spans(data, chance)
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


def zero(data: bytearray, chance: random.Random) -> None:
    a, _, size = spans(data, chance)
    data[a : a + size] = bytes(len(data[a : a + size]))


def repeat(data: bytearray, chance: random.Random) -> None:
    a, b, size = spans(data, chance)
    data[b:b] = data[a : a + size]


def extreme(data: bytearray, chance: random.Random) -> None:
    """A field of the largest, the smallest or a negative value."""
    a, _, _ = spans(data, chance)
    data[a : a + 4] = chance.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", bytes(4)))


def boxes(data: bytearray, chance: random.Random) -> None:
    """Swap the names of two kinds of MP4 atoms."""
    one, other = chance.sample(BOXES, 2)
    swapped = bytes(data).replace(one, b"\1tmp").replace(other, one).replace(b"\1tmp", other)
    data[:] = swapped


def process(path: Path, workdir: Path, number: int) -> str:
    """What became of a file, in a word."""
    try:
        info = probe(path, LIMITS)
        decoder = decode(info, SIZE, DecodeOptions(threads=1, scan=examine(info)))
        frames = sum(1 for _ in decoder)
    except BadInput:
        return "refused"
    container = ("mp4", "mkv")[number % 2]
    chunks, _ = make_chunks(info, (64, 48), workdir / "work", lengths=(1000,)) if frames < 40 else ([], [])
    if chunks:
        assemble(chunks, info, workdir / f"result.{container}", "copy", container)
    return "decoded"


def main() -> None:
    first, count, workdir = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    av.logging.set_level(None)
    counts = {"refused": 0, "decoded": 0}
    settled = 0
    for number in range(first, first + count):
        name, data = variant(number)
        print(number, flush=True)
        path = workdir / name
        path.write_bytes(data)
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        counts[process(path, workdir, number)] += 1
        faulthandler.cancel_dump_traceback_later()
        path.unlink()
        if number == first + count // 2:
            settled = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - settled
    print(counts["refused"], counts["decoded"], grown // 1024, len(list(Path("/proc/self/fd").iterdir())))


if __name__ == "__main__":
    main()
