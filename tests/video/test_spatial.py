"""Marks of 360 degrees and of 3D: kept where they are still true of the result, else named."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from flashvsr.video.ebml import TO_VIDEO, added, element, find, number
from flashvsr.video.mux import assemble
from flashvsr.video.probe import probe
from flashvsr.video.spatial import Spatial, Sphere, spatial_of
from kits.chain import chain, played
from kits.mp4 import box, set_in_picture
from kits.paths import CARRIED
from kits.videos import make_chunks, numbered, set_matrix, write_video

CONTAINERS = pytest.mark.parametrize("container", ["mp4", "mkv"])
ROUND, CUBE = Sphere(2), Sphere(1, padding=3)
BESIDE, BELOW = 1, 2
ADVICE = 'set fit = "pad" in the preset to keep it'


def marked(
    path: Path, sphere: str = "", stereo: int = 0, size: tuple[int, int] = (192, 96), turned: bool = False
) -> Path:
    """A film with Google's boxes (MP4) or Matroska's elements. `stereo`: FFmpeg's number."""
    write_video(path, [numbered(n, *size) for n in range(5)])
    if turned:
        set_matrix(path, (0, 1, -1, 0))
    if path.suffix == ".mkv":
        mode = element(b"\x53\xb8", bytes([{BESIDE: 1, BELOW: 3}[stereo]])) if stereo else b""
        number = {"round": 1, "cube": 2}.get(sphere, 0)
        projection = element(b"\x76\x70", element(b"\x76\x71", bytes([number]))) if number == 1 else b""
        path.write_bytes(added(path.read_bytes(), TO_VIDEO, mode + projection))
        return path
    more = box(b"st3d", struct.pack(">IB", 0, {BESIDE: 2, BELOW: 1}[stereo])) if stereo else b""
    if sphere:
        kind = {
            "round": box(b"equi", bytes(20)),
            "half": box(b"equi", struct.pack(">5I", 0, 0, 0, 1 << 30, 1 << 30)),
            "cube": box(b"cbmp", struct.pack(">3I", 0, 0, 3)),
        }[sphere]
        pose = box(b"prhd", struct.pack(">Iiii", 0, 10 << 16, -20 << 16, 0))
        more += box(b"sv3d", box(b"svhd", bytes(4) + b"\0") + box(b"proj", pose + kind))
    set_in_picture(path, more)
    return path


@pytest.mark.slow
@CONTAINERS
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_the_world_around_stays_so(codec: str, container: str, tmp_path: Path) -> None:
    report = chain(CARRIED / "360.mp4", tmp_path, container=container, codec=codec)
    back = probe(report.result)
    assert back.spatial == Spatial(ROUND)
    assert len(played(report.result).pictures) == 25
    assert back.sample_aspect == 1
    assert not any("left out" in warning for warning in report.warnings)


@pytest.mark.slow
@CONTAINERS
@pytest.mark.parametrize("source", ["mp4", "mkv"])
@pytest.mark.parametrize("stereo", [BESIDE, BELOW])
@pytest.mark.parametrize("sphere", ["", "round"])
def test_two_eyes(sphere: str, stereo: int, source: str, container: str, tmp_path: Path) -> None:
    report = chain(marked(tmp_path / f"film.{source}", sphere, stereo), tmp_path, container=container)
    back = probe(report.result)
    assert back.spatial is not None
    assert back.spatial.stereo == stereo
    assert (back.spatial.sphere is not None) == (sphere == "round")
    assert (back.width, back.height, back.sample_aspect) == (192, 96, Fraction(1))
    assert report.warnings == []


@CONTAINERS
@pytest.mark.parametrize("sphere", ["half", "cube"])
def test_other_spheres(sphere: str, container: str, tmp_path: Path) -> None:
    report = chain(marked(tmp_path / "film.mp4", sphere), tmp_path, container=container)
    found = probe(report.result).spatial
    assert found is not None
    assert found.sphere is not None
    turn = (10.0, -20.0, 0.0)
    quarter = Fraction(1, 4)
    expected = Sphere(2, turn, quarter, right=quarter) if sphere == "half" else Sphere(1, turn, padding=3)
    assert found.sphere == expected
    assert report.warnings == []


@CONTAINERS
def test_a_cropped_sphere_tells_what_is_missing(container: str, tmp_path: Path) -> None:
    """The model takes multiples of 128 pixels: of 192 rows 128 stay, and a third of the world is not in the picture."""
    report = chain(marked(tmp_path / "film.mp4", "round"), tmp_path, container=container, scale=2.0, fit="crop")
    found = probe(report.result).spatial
    assert found is not None
    assert found.sphere is not None
    assert (found.sphere.left, found.sphere.right) == (Fraction(0), Fraction(0))
    assert abs(found.sphere.top - Fraction(1, 6)) < Fraction(1, 1000)
    assert abs(found.sphere.bottom - Fraction(1, 6)) < Fraction(1, 1000)
    assert report.warnings == []


@CONTAINERS
def test_what_does_not_fit_any_more_is_named(container: str, tmp_path: Path) -> None:
    cut: dict[str, Any] = {"container": container, "scale": 2.0, "fit": "crop"}
    told = {
        "the mark of a 3D picture is left out": marked(tmp_path / "below.mp4", "", BELOW),
        "the mark of a 360° picture is left out": marked(tmp_path / "cube.mp4", "cube"),
    }
    for text, path in told.items():
        report = chain(path, tmp_path, None, None, **cut)
        assert report.warnings == [f"{text}; {ADVICE}"]
        assert probe(report.result).spatial is None
    report = chain(marked(tmp_path / "both.mp4", "round", BELOW), tmp_path, None, None, **cut)
    assert report.warnings == [f"{text}; {ADVICE}" for text in told]
    report = chain(marked(tmp_path / "turned.mp4", "round", turned=True), tmp_path, container=container)
    assert report.warnings == ["the mark of a 360° picture is left out"]


def test_marks_that_no_result_can_carry() -> None:
    whole = (Fraction(1), Fraction(1), False)
    assert Spatial(stereo=6).marks(*whole) == (b"", ["the mark of a 3D picture is left out"])
    assert Spatial(Sphere(5)).marks(*whole) == (b"", ["the mark of a 360° picture is left out"])
    assert Spatial(is_one_of_two=True).marks(*whole) == (b"", ["the second eye's picture of the source is left out"])


def test_a_partial_has_the_marks(tmp_path: Path) -> None:
    info = probe(CARRIED / "360.mp4")
    chunks, _ = make_chunks(info, (192, 96), tmp_path / "work", lengths=(10,))
    for container in ("mp4", "mkv"):
        result = tmp_path / f"partial.{container}"
        assemble(chunks[:1], info, result, "copy", container, partial=True)
        assert probe(result).spatial == Spatial(ROUND)


def test_elements_are_added_where_they_belong(tmp_path: Path) -> None:
    """Nothing else of the file changes: the pictures are still read."""
    path = write_video(tmp_path / "film.mkv", [numbered(n, 192, 96) for n in range(5)])
    path.write_bytes(added(path.read_bytes(), TO_VIDEO, element(b"\x53\xb8", b"\x0b")))
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 5
    assert probe(path).spatial == Spatial(stereo=BESIDE, swapped=True)


def test_a_part_of_a_part_is_cut_from_what_was_there() -> None:
    """Half of a world whose left fifth and lower tenth are missing already."""
    part = Sphere(2, (1.0, 2.0, 3.0), left=Fraction(1, 5), bottom=Fraction(1, 10))
    cut = part.cut(Fraction(1, 2), Fraction(1, 3))
    sides = (Fraction(2, 5), Fraction(3, 10), Fraction(1, 5), Fraction(4, 10))
    assert (cut.left, cut.top, cut.right, cut.bottom) == sides
    assert cut.turn == part.turn


ALL, CUT = Fraction(1), Fraction(2, 3)
STEREO, PROJECTION = [b"\x53\xb8"], [b"\x76\x70"]


@pytest.mark.parametrize(
    ("found", "across", "down", "turned", "kept", "lost"),
    [
        (Spatial(stereo=BESIDE), ALL, CUT, False, "3D", []),
        (Spatial(stereo=BESIDE), CUT, ALL, False, "", [f"3D; {ADVICE}"]),
        (Spatial(stereo=BELOW), CUT, ALL, False, "3D", []),
        (Spatial(stereo=BELOW), ALL, CUT, False, "", [f"3D; {ADVICE}"]),
        (Spatial(stereo=BESIDE), ALL, ALL, True, "", ["3D"]),
        (Spatial(ROUND), CUT, CUT, False, "360", []),
        (Spatial(ROUND), ALL, ALL, True, "", ["360"]),
        (Spatial(CUBE), ALL, ALL, False, "360", []),
        (Spatial(CUBE), ALL, CUT, False, "", [f"360; {ADVICE}"]),
        (Spatial(CUBE), CUT, ALL, False, "", [f"360; {ADVICE}"]),
        (Spatial(ROUND, BESIDE), ALL, CUT, False, "3D 360", []),
        (Spatial(ROUND, BESIDE), CUT, ALL, False, "", [f"3D; {ADVICE}", f"360; {ADVICE}"]),
        (Spatial(ROUND, BELOW), CUT, ALL, False, "3D 360", []),
        (Spatial(ROUND, BELOW), ALL, CUT, False, "", [f"3D; {ADVICE}", f"360; {ADVICE}"]),
    ],
)
def test_which_marks_are_still_true(
    found: Spatial, across: Fraction, down: Fraction, turned: bool, kept: str, lost: list[str]
) -> None:
    marks, said = found.marks(across, down, turned)
    names = {"3D": find(marks, STEREO), "360": find(marks, PROJECTION)}
    assert [name for name, mark in names.items() if mark is not None] == kept.split()
    words = {"3D": "the mark of a 3D picture is left out", "360": "the mark of a 360° picture is left out"}
    assert said == [line.replace(name, words[name], 1) for line in lost for name in words if line.startswith(name)]


@pytest.mark.parametrize(
    ("stereo", "swapped", "mode"), [(BESIDE, False, 1), (BELOW, True, 2), (BELOW, False, 3), (BESIDE, True, 11)]
)
def test_the_ways_of_two_eyes(stereo: int, swapped: bool, mode: int) -> None:
    marks, _ = Spatial(stereo=stereo, swapped=swapped).marks(ALL, ALL, False)
    assert number(marks, STEREO) == mode


def test_the_numbers_of_a_projection() -> None:
    """In Matroska's order: the sides from the top on, and the angles."""
    quarter, half = 1 << 30, 1 << 31
    sphere = Sphere(2, (10.0, -20.0, 30.0), left=Fraction(1, 4), top=Fraction(1, 2), right=Fraction(1, 8))
    content = find(Spatial(sphere).marks(ALL, ALL, False)[0], PROJECTION)
    assert content is not None
    assert find(content, [b"\x76\x72"]) == struct.pack(">5I", 0, half, 0, quarter, half // 4)
    angles = [find(content, [name]) for name in (b"\x76\x73", b"\x76\x74", b"\x76\x75")]
    assert [struct.unpack(">f", angle or b"")[0] for angle in angles] == [10, -20, 30]
    cube = find(Spatial(CUBE).marks(ALL, ALL, False)[0], PROJECTION)
    assert cube is not None
    assert (number(cube, [b"\x76\x71"]), find(cube, [b"\x76\x72"])) == (2, struct.pack(">3I", 0, 0, 3))


def told(sphere: tuple[int, ...] = (), stereo: tuple[int, ...] = ()) -> Spatial | None:
    """What is made of FFmpeg's structures: projection, angles, bounds, padding; and kind, flags, view."""
    data: dict[str, bytes] = {}
    if sphere:
        data["SPHERICAL"] = struct.pack("=4i5I", *sphere)
    if stereo:
        data["STEREO3D"] = struct.pack("=3i", *stereo).ljust(36, b"\0")
    frame: Any = SimpleNamespace(side_data=data)
    return spatial_of(frame)


WHOLE = 1 << 32
ALMOST = Fraction(2**31 - 1, WHOLE)  # half


@pytest.mark.parametrize(
    ("sphere", "expected"),
    [
        ((0, 1 << 16, 2 << 16, -3 << 16, 9, 9, 9, 9, 0), Sphere(2, (1.0, 2.0, -3.0))),
        ((1, 0, 0, 0, 0, 0, 0, 0, 7), Sphere(1, padding=7)),
        (
            (2, 0, 0, 0, WHOLE // 4, WHOLE // 8, WHOLE // 2, 0, 0),
            Sphere(2, left=Fraction(1, 4), top=Fraction(1, 8), right=Fraction(1, 2)),
        ),
        ((3, 0, 0, 0, 9, 9, 9, 9, 0), Sphere(2, left=Fraction(1, 4), right=Fraction(1, 4))),
        ((2, 0, 0, 0, WHOLE // 2, 0, WHOLE // 2, 0, 0), None),
        ((2, 0, 0, 0, 0, WHOLE // 2, 0, WHOLE // 2, 0), None),
        ((2, 0, 0, 0, 0, WHOLE // 2, 0, WHOLE // 2 - 1, 0), Sphere(2, top=Fraction(1, 2), bottom=ALMOST)),
    ],
)  # fmt: skip
def test_what_ffmpeg_says_of_a_sphere(sphere: tuple[int, ...], expected: Sphere | None) -> None:
    """A picture of nothing at all makes no sense."""
    assert told(sphere) == (None if expected is None else Spatial(expected))
    assert told(sphere, (BESIDE, 0, 0)) == Spatial(expected, BESIDE)


@pytest.mark.parametrize(
    ("stereo", "expected"),
    [
        ((0, 0, 0), None),
        ((0, 1, 0), None),
        ((BESIDE, 0, 0), Spatial(stereo=BESIDE)),
        ((BELOW, 1, 0), Spatial(stereo=BELOW, swapped=True)),
        ((BESIDE, 0, 3), Spatial(stereo=BESIDE)),
        ((BESIDE, 0, 1), Spatial(is_one_of_two=True)),
        ((BESIDE, 0, 2), Spatial(is_one_of_two=True)),
        ((7, 0, 0), Spatial(stereo=7)),
        ((8, 0, 0), Spatial(is_one_of_two=True)),
    ],
)
def test_what_ffmpeg_says_of_two_eyes(stereo: tuple[int, ...], expected: Spatial | None) -> None:
    assert told(stereo=stereo) == expected
