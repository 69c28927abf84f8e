from __future__ import annotations

import errno
import itertools
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from flashvsr.errors import BadInput, Transient
from flashvsr.files.trees import Trees
from flashvsr.video.decode import decode
from flashvsr.video.probe import probe
from kits.paths import CLIPS
from kits.videos import (
    ALL_CLIPS,
    FRAME_COUNTS,
    clip_info,
    numbered,
    set_matrix,
    tone,
    write_sound,
    write_video,
)


def test_facts_of_awkward_files() -> None:
    film = clip_info("movie-hello.mpeg")
    assert (film.width, film.height, film.codec) == (640, 480, "mpeg2video")
    assert film.start == Fraction(524, 1000)
    assert film.frame_rate == Fraction(30000, 1001)
    assert film.audio[0].codec == "mp2"
    assert film.color.matrix == "smpte170m"
    phone = clip_info("face_noface.mov")
    assert (phone.codec, phone.color.matrix, phone.color.range) == ("hevc", "bt709", "limited")
    assert phone.start == 0
    assert clip_info("carphone_pristine.mp4").sample_aspect == Fraction(128, 117)
    assert clip_info("bigbuckbunny.mp4").audio[0].channels == 6
    assert clip_info("movie-hello.mp4").start == Fraction(169, 5120)


@pytest.mark.slow
@pytest.mark.parametrize("path", ALL_CLIPS, ids=lambda p: p.name)
def test_every_frame_is_decoded(path: Path) -> None:
    info = probe(path)
    decoder = decode(info, (64, 64))
    frames = list(decoder)
    assert [frame.index for frame in frames] == list(range(FRAME_COUNTS[path.name]))
    assert all(b.time > a.time and b.pts > a.pts for a, b in itertools.pairwise(frames))
    assert frames[0].time >= 0
    assert decoder.warnings == []


def _not_videos(folder: Path) -> dict[str, Path]:
    text = folder / "notes.mp4"
    text.write_text("these are my notes, not a video\n" * 50)
    empty = folder / "empty.mp4"
    empty.touch()
    song = folder / "song.mp4"
    with av.open(str(song), "w") as out:
        write_sound(out, out.add_stream("aac", rate=48000), tone(0.5))
    broken = folder / "broken.mp4"
    whole = (CLIPS / "bigbuckbunny.mp4").read_bytes()
    start = whole.index(b"mdat")
    broken.write_bytes(whole[:start] + b"mdat" + bytes(300_000) if start > 1000 else bytes(300_000))
    playlist = folder / "list.mp4"
    playlist.write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{CLIPS}/movie-hello.mpeg\n#EXT-X-ENDLIST\n"
    )
    concat = folder / "concat.mp4"
    concat.write_text(f"ffconcat version 1.0\nfile {CLIPS}/movie-hello.mpeg\n")
    return {
        "text": text, "empty": empty, "song": song, "broken": broken, "playlist": playlist, "concat": concat,
        "missing": folder / "missing.mp4", "folder": folder,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "not a video file"),
        ("empty", "is empty"),
        ("song", "no picture"),
        ("broken", "not a video file|not one frame"),
        ("playlist", "playlists"),
        ("concat", "playlists"),
        ("missing", "does not exist"),
        ("folder", "not a regular file"),
    ],
)
def test_what_is_no_video_is_bad_input(kind: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        probe(_not_videos(tmp_path)[kind])


def test_names_that_look_like_urls_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = Path(os.fsdecode(b"concat:caf\xe9%03d.mp4"))
    name.write_bytes((CLIPS / "carphone_pristine.mp4").read_bytes())
    assert probe(name).width == 176


def test_a_failing_disk_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    info = clip_info("movie-hello.mpeg")
    pread = os.pread

    def sick(descriptor: int, size: int, place: int) -> bytes:
        if place >= 80_000:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(descriptor, min(size, 20_000), place)

    monkeypatch.setattr(os, "pread", sick)
    with pytest.raises(Transient, match="check its health"):
        list(decode(info, (64, 64)))


def test_a_source_that_may_not_be_read_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Trees, path: Path, *args: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Trees, "open_file", refuse)
    with pytest.raises(Transient, match="let the user that runs flashvsr read it"):
        clip_info("movie-hello.mpeg")


def test_cover_art_is_not_the_video(tmp_path: Path) -> None:
    song = tmp_path / "song.m4a"
    with av.open(str(song), "w", format="mp4") as out:
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        sound = out.add_stream("aac", rate=48000)
        sound.codec_context.layout = "mono"
        frame = av.VideoFrame.from_ndarray(numbered(1, 64, 64), format="rgb24").reformat(format="yuvj420p")
        out.mux([*cover.encode(frame), *cover.encode(None)])
        write_sound(out, sound, tone(0.2))
    with pytest.raises(BadInput, match="only sound"):
        probe(song)


@pytest.mark.parametrize(
    ("matrix", "rotation", "mirrored"),
    [
        ((1, 0, 0, 1), 0, False),
        ((0, 1, -1, 0), 90, False),
        ((-1, 0, 0, -1), 180, False),
        ((0, -1, 1, 0), 270, False),
        ((-1, 0, 0, 1), 0, True),
        ((0, 1, 1, 0), 270, True),
    ],
)
def test_rotation_is_applied(matrix: tuple[int, int, int, int], rotation: int, mirrored: bool, tmp_path: Path) -> None:
    stored = np.zeros((96, 160, 3), np.uint8)
    stored[:48, :80] = (200, 40, 40)  # the red corner is top left as stored
    stored[48:, 80:] = (40, 40, 200)
    path = write_video(tmp_path / "phone.mp4", [stored] * 3)
    set_matrix(path, matrix)
    info = probe(path)
    assert (info.rotation, info.mirrored) == (rotation, mirrored)
    turned = rotation in (90, 270)
    assert (info.width, info.height) == ((96, 160) if turned else (160, 96))
    rgb = next(iter(decode(info, (info.width, info.height)))).rgb
    # The matrix maps the stored corner's direction (-1, -1) to where it is shown.
    a, b, c, d = matrix
    x, y = -(a + c), -(b + d)
    row = rgb.shape[0] // 4 if y < 0 else rgb.shape[0] * 3 // 4
    column = rgb.shape[1] // 4 if x < 0 else rgb.shape[1] * 3 // 4
    assert np.abs(rgb[row, column].astype(int) - (200, 40, 40)).max() < 12
    assert np.abs(rgb[-1 - row, -1 - column].astype(int) - (40, 40, 200)).max() < 12
