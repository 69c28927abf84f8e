"""Files that are damaged or made to harm: no crash, no hang, no growth, and a reason for each refusal.

FUZZ_VARIANTS=5000 tries as many variants from a random place on.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from flashvsr.errors import BadInput
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import SourceLimits
from kits.chain import chain
from kits.paths import PROGRAMS, python_environment
from kits.videos import numbered, write_video
from programs.fuzz import SEEDS, VARIABLE, variant

FEW = 176
FOUND = {755542: "undefined colour tags", 656350: "a leap of nine hours", 438530: "threads that wait"}
WANTED = int(os.environ.get(VARIABLE, "0"))


@pytest.mark.slow
@pytest.mark.timeout(60 + max(FEW, WANTED))
def test_damaged_variants_are_processed_or_refused(tmp_path: Path) -> None:
    first = random.randrange(1_000_000) if WANTED else 0
    program = PROGRAMS / "fuzz.py"
    done = subprocess.run(
        [sys.executable, str(program), str(first), str(WANTED or FEW), str(tmp_path)],
        env=python_environment(), capture_output=True, text=True,
    )  # fmt: skip
    last = done.stdout.splitlines()[-1] if done.stdout else ""
    assert done.returncode == 0, f"variant {last}:\n{done.stderr[-3000:]}"
    refused, decoded, grown_mib, files = map(int, last.split())
    assert refused + decoded == (WANTED or FEW)
    assert refused > 0
    assert decoded > refused  # else they are damaged beyond what is worth trying
    assert grown_mib < 64
    assert files < 40


@pytest.mark.slow
@pytest.mark.parametrize("number", FOUND, ids=FOUND.values())
def test_found_by_trying_thousands(number: int, tmp_path: Path) -> None:
    program = PROGRAMS / "fuzz.py"
    done = subprocess.run(
        [sys.executable, str(program), str(number), "1", str(tmp_path)],
        env=python_environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[:3] == [str(number), "0", "1"]  # refused, decoded


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_damaged_file_stops_no_number_of_threads(threads: int, tmp_path: Path) -> None:
    """A program of its own, for nothing ends threads of a decoder that wait for each other."""
    name, data = variant(438530)
    (tmp_path / name).write_bytes(data)
    program = (
        "import sys; from pathlib import Path; from flashvsr.video.probe import probe\n"
        "from flashvsr.video.decode import DecodeOptions, decode\n"
        "info = probe(Path(sys.argv[1]))\n"
        "print(sum(1 for _ in decode(info, (64, 48), DecodeOptions(threads=int(sys.argv[2])))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / name), str(threads)],
        env=python_environment(), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert int(done.stdout) >= 4


def test_a_variant_depends_on_its_number_alone() -> None:
    """Not on the process, the machine or what was asked before: a number in a report names the same file for ever."""
    contents = hashlib.sha256(b"".join(variant(number)[1] for number in FOUND))
    assert contents.hexdigest() == "b99f454330babb346d8f332fefbd755bc85c4c5fd61ea75f57977d48ed893e97"


def test_variants_go_through_all_seeds_and_damage_each_in_other_ways() -> None:
    count = len(SEEDS)
    assert [variant(number)[0] for number in range(count, 2 * count)] == [
        f"{number}{seed.suffix}" for number, seed in enumerate(SEEDS, count)
    ]
    for number, seed in enumerate(SEEDS):
        contents = [variant(number + turn * count)[1] for turn in range(20)]
        assert len(set(contents)) > 12
        assert contents.count(seed.read_bytes()) < 8  # other containers have no atoms to swap


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (SourceLimits(side=120), "more than the 120 pixels a side"),
        (SourceLimits(frames=9), "10 frames, more than the 9"),
        (SourceLimits(file_bytes=1000), "more than the 1000"),
    ],
    ids=["side", "frames", "bytes"],
)
def test_sources_over_the_limits_are_refused(limits: SourceLimits, said: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [numbered(n) for n in range(10)])
    with pytest.raises(BadInput, match=said) as caught:
        chain(path, tmp_path, Config(limits=limits))
    assert "settings" in str(caught.value)
    assert chain(path, tmp_path).frames == 10


def test_a_file_that_hides_its_length_is_stopped_at_the_limit(tmp_path: Path) -> None:
    """Raw streams do not say how long they are."""
    path = write_video(tmp_path / "a.h264", [numbered(n) for n in range(30)])
    with pytest.raises(BadInput, match="more than the 20"):
        chain(path, tmp_path, Config(limits=SourceLimits(frames=20)))


def test_a_stream_that_grows_on_the_way_is_refused(tmp_path: Path) -> None:
    parts = [
        write_video(tmp_path / f"{width}.ts", [numbered(n, width, 96) for n in range(6)], options={"bf": "0"})
        for width in (128, 512)
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(BadInput, match="more than the 160 pixels a side"):
        chain(path, tmp_path, Config(limits=SourceLimits(side=160)))
