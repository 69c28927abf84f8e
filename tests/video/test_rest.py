"""What a film carries beside picture and sound, through the whole chain: kept, or named in the report."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import pytest
from av.packet import Packet
from av.stream import Disposition

from flashvsr.video.probe import probe
from kits.chain import chain, played
from kits.films import FONT, fill_picture, jpeg, picture_track, subtitles_of
from kits.videos import number_of

SRT = "1\n00:00:00,200 --> 00:00:00,900\nGrüße\n\n2\n00:00:01,000 --> 00:00:01,200\n<i>two</i>\nlines\n"
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Sans,18

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.20,0:00:00.90,Default,,0,0,0,,{\\i1}Grüße
Dialogue: 0,0:00:01.00,0:00:01.20,Default,,0,0,0,,two\\Nlines
"""
VTT = "WEBVTT\n\n00:00.200 --> 00:00.900\nGrüße\n\n00:01.000 --> 00:01.200\ntwo\nlines\n"
EXPECTED = [(0.2, 0.7, "Grüße"), (1.0, 0.2, "two\nlines")]


def with_text(folder: Path, kind: str, text: str, container: str = "mkv") -> Path:
    words, path = folder / f"words.{kind}", folder / f"film.{container}"
    words.write_text(text, encoding="utf-8")
    with av.open(str(words)) as source, av.open(str(path), "w") as out:
        video = picture_track(out)
        copy = out.add_stream_from_template(source.streams.subtitles[0])
        copy.metadata["language"] = "deu"
        fill_picture(out, video)
        for packet in source.demux():
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    return path


def raw_subtitles(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(subtitles=0)]


@pytest.mark.slow
@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize(("kind", "text"), [("srt", SRT), ("ass", ASS), ("vtt", VTT)], ids=["srt", "ass", "vtt"])
def test_text_subtitles(kind: str, text: str, container: str, tmp_path: Path) -> None:
    """Kept as they are in Matroska; in MP4 as its own text, with the same words and times."""
    report = chain(with_text(tmp_path, kind, text), tmp_path, container=container)
    assert subtitles_of(report.result) == EXPECTED
    if container == "mp4":
        assert b"{" not in b"".join(raw_subtitles(report.result))
    with av.open(str(report.result)) as back:
        stream = back.streams.subtitles[0]
        assert stream.language == "deu"
        own = {"srt": ("subrip", "srt"), "ass": ("ass", "ssa"), "vtt": ("webvtt",)}[kind]
        assert stream.codec_context.name in (("mov_text",) if container == "mp4" else own)
        assert len(stream.codec_context.extradata or b"") > 30 or container == "mkv"  # players want the style
    assert report.warnings == []


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_the_text_of_an_mp4(container: str, tmp_path: Path) -> None:
    first = chain(with_text(tmp_path, "srt", SRT), tmp_path).result
    (tmp_path / "again").mkdir()
    report = chain(first, tmp_path / "again", container=container)
    assert subtitles_of(report.result) == EXPECTED


@pytest.mark.slow
@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("codec", ["hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"])
def test_bitmap_subtitles(codec: str, container: str, tmp_path: Path) -> None:
    path, payload = (
        tmp_path / "disc.mkv",
        [b"\x16\x00\x0b" + bytes([n]) * 11 + b"\x80\x00\x00" for n in (1, 2)],
    )  # whole, as PGS wants
    with av.open(str(path), "w") as out:
        video = picture_track(out)
        track = out.add_mux_stream(codec)
        track.time_base = Fraction(1, 1000)
        track.metadata["language"] = "fra"
        fill_picture(out, video)
        for number, data in enumerate(payload):
            packet = Packet(data)
            packet.stream, packet.time_base = track, Fraction(1, 1000)
            packet.pts = packet.dts = 200 + 800 * number
            packet.duration = 500
            out.mux(packet)
    report = chain(path, tmp_path, container=container)
    with av.open(str(report.result)) as back:
        if container == "mp4":
            assert not back.streams.subtitles
            assert "fra" in report.warnings[0]
            assert 'container = "mkv"' in report.warnings[0]
            return
        kept = [(packet.pts, bytes(packet)) for packet in back.demux(subtitles=0) if packet.size]
        assert kept == [(200, payload[0]), (1000, payload[1])]
    assert report.warnings == []


@pytest.mark.slow
@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("source", ["mkv", "mp4"])
def test_cover_art_is_kept_and_not_taken_for_the_film(source: str, container: str, tmp_path: Path) -> None:
    path, art = tmp_path / f"film.{source}", jpeg()
    with av.open(str(path), "w") as out:
        video = picture_track(out)
        if source == "mkv":
            out.add_attachment("cover.jpg", "image/jpeg", art)
        else:
            cover = out.add_mux_stream("mjpeg", width=64, height=64)
            cover.disposition = Disposition.attached_pic
            cover.time_base = Fraction(1, 90000)
        fill_picture(out, video)
        if source == "mp4":
            packet = Packet(art)
            packet.stream, packet.pts, packet.dts, packet.time_base = cover, 0, 0, Fraction(1, 90000)
            out.mux(packet)
    report = chain(path, tmp_path, container=container)
    assert [number_of(picture) for picture in played(report.result).pictures] == list(range(50))
    assert report.warnings == []
    with av.open(str(report.result)) as back:
        kept = [stream for stream in back.streams.video if stream.disposition.value & 0x400]
        assert [bytes(next(p for p in back.demux(kept[0]) if p.size))] == [art]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_attachments_are_kept_or_named(container: str, tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as out:
        video = picture_track(out)
        out.add_attachment("Sans.ttf", "font/ttf", FONT)
        fill_picture(out, video)
    report = chain(path, tmp_path, container=container)
    with av.open(str(report.result)) as back:
        kept = [s for s in back.streams if s.type == "attachment"]
        if container == "mp4":
            assert report.warnings == ["attachment Sans.ttf left out: mp4 holds none"]
        else:
            assert [(s.metadata["filename"], bytes(cast(Any, s).data)) for s in kept] == [("Sans.ttf", FONT)]
            assert report.warnings == []


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("source", ["mp4", "mkv"])
def test_title_chapters_and_creation_time(source: str, container: str, tmp_path: Path) -> None:
    path = tmp_path / f"film.{source}"
    with av.open(str(path), "w") as out:
        out.metadata.update(title="A film", creation_time="2019-05-04T10:20:30.000000Z")
        out.set_chapters([
            {"id": n, "start": n * 500, "end": n * 500 + 500, "time_base": Fraction(1, 1000),
             "metadata": {"title": f"Part {n}"}} for n in range(4)
        ])  # fmt: skip
        fill_picture(out, picture_track(out))
    report = chain(path, tmp_path, container=container)
    with av.open(str(report.result)) as back:
        metadata = {key.lower(): value for key, value in back.metadata.items()}
        assert metadata["title"] == "A film"
        assert metadata["creation_time"].startswith("2019-05-04T10:20:30")
        chapters = back.chapters()
        assert [c["start"] * c["time_base"] for c in chapters] == [0, 0.5, 1, 1.5]
        assert [c["metadata"]["title"] for c in chapters] == [f"Part {n}" for n in range(4)]
    assert report.warnings == []


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_tags_that_are_no_text_come_back_as_text(container: str, tmp_path: Path) -> None:
    """From a tool that wrote Latin-1: what can be read stays, and nothing on the way stumbles over the rest."""
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as out:
        out.metadata["title"] = "Café"
        out.set_chapters([
            {"id": 0, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "Entrée"}}
        ])  # fmt: skip
        video = picture_track(out)
        video.metadata["title"] = "Scène"
        out.add_attachment("Écriture.ttf", "font/ttf", FONT)
        fill_picture(out, video)
    content = path.read_bytes()
    for letter in "éèÉ":
        content = content.replace(letter.encode(), letter.encode("latin-1") + b"_")  # nothing changes its place
    path.write_bytes(content)
    report = chain(path, tmp_path, container=container)
    with av.open(str(report.result)) as back:
        titles = {key.lower(): value for key, value in back.metadata.items()}
        assert titles["title"] == "Caf\ufffd_"
        assert [chapter["metadata"]["title"] for chapter in back.chapters()] == ["Entr\ufffd_e"]
        if container == "mkv":
            assert back.streams.video[0].metadata["title"] == "Sc\ufffd_ne"
            assert [s.metadata["filename"] for s in back.streams if s.type == "attachment"] == ["\ufffd_criture.ttf"]
        else:
            assert report.warnings == ["attachment \ufffd_criture.ttf left out: mp4 holds none"]


def test_a_second_picture_and_data_are_named(tmp_path: Path) -> None:
    path = tmp_path / "angles.ts"
    with av.open(str(path), "w", format="mpegts") as out:
        first, second = picture_track(out), picture_track(out)
        data = out.add_data_stream("klv")
        fill_picture(out, first, 10)
        fill_picture(out, second, 10)
        packet = Packet(b"\x06\x0e\x2b\x34" + bytes(20))
        packet.stream, packet.pts, packet.dts, packet.time_base = data, 0, 0, Fraction(1, 90000)
        out.mux(packet)
    report = chain(path, tmp_path)
    assert report.frames == 10
    assert any("1 further video tracks" in warning for warning in report.warnings)
    assert any("1 data tracks" in warning for warning in report.warnings)
    assert probe(report.result).video_index == 0
