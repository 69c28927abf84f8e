"""Subtitles that begin together, overlap, or outlast the film: unmoved in Matroska, in pieces in MP4."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.packet import Packet

from flashvsr.video.cues import Cue, CueClock, Pieces
from flashvsr.video.mux import assemble
from flashvsr.video.probe import probe
from kits.chain import chain
from kits.films import fill_picture, picture_track, subtitles_of
from kits.videos import make_chunks

Shown = tuple[float, float, str]  # start and length in seconds, and the text

OVERLAPPING: list[Shown] = [
    (0.2, 1.4, "sign"), (0.2, 0.5, "one"), (0.2, 1.4, "sign two"), (1.0, 0.4, "two"), (1.5, 9.0, "last"),
]  # fmt: skip
IN_PIECES: list[Shown] = [
    (0.2, 0.5, "sign\none\nsign two"), (0.7, 0.3, "sign\nsign two"), (1.0, 0.4, "sign\nsign two\ntwo"),
    (1.4, 0.1, "sign\nsign two"), (1.5, 0.1, "sign\nsign two\nlast"), (1.6, 0.4, "last"),
]  # fmt: skip
ASS_HEADER = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Sans,18

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def with_cues(path: Path, kind: str, cues: Sequence[Shown], begins: int = 0) -> Path:
    """A film of two seconds, which begins at `begins` ms, with a track of text (ass, srt or vtt)."""
    words = path.with_suffix(f".{kind}")
    if kind == "ass":
        lines = [f"Dialogue: 0,{clock(a)[1:-1]},{clock(a + b)[1:-1]},Default,,0,0,0,,{text}\n" for a, b, text in cues]
    else:
        times = [f"{clock(a)} --> {clock(a + b)}" for a, b, _ in cues]
        times = [time.replace(".", ",") if kind == "srt" else time for time in times]
        lines = [f"{n}\n{time}\n{text}\n\n" for n, (time, (_, _, text)) in enumerate(zip(times, cues, strict=True), 1)]
    words.write_text({"ass": ASS_HEADER, "vtt": "WEBVTT\n\n", "srt": ""}[kind] + "".join(lines))
    with av.open(str(words)) as source, av.open(str(path), "w") as out:
        video = picture_track(out)
        copy = out.add_stream_from_template(source.streams.subtitles[0])
        for packet in moved(video, begins):
            out.mux(packet)
        for packet in source.demux():
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    return path


def clock(seconds: float) -> str:
    """As WebVTT has it, and SubRip with a comma; ASS leaves out a digit at either end."""
    whole, rest = divmod(round(seconds * 1000), 1000)
    return f"00:{whole // 60:02}:{whole % 60:02}.{rest:03}"


class _Kept(list):  # type: ignore[type-arg]
    def mux(self, packets: list[Packet[Any]]) -> None:
        self.extend(packets)


def moved(video: av.VideoStream, begins: int) -> list[Packet[Any]]:
    kept = _Kept()
    fill_picture(kept, video)  # type: ignore[arg-type]
    for packet in kept:
        shift = round(Fraction(begins, 1000) / packet.time_base)
        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
    return kept


@pytest.mark.parametrize("codec", ["ass", "srt", "vtt"])
def test_in_matroska_they_are_what_they_were(codec: str, tmp_path: Path) -> None:
    report = chain(with_cues(tmp_path / "film.mkv", codec, OVERLAPPING), tmp_path, container="mkv")
    assert subtitles_of(report.result) == OVERLAPPING
    assert report.warnings == []


@pytest.mark.parametrize("codec", ["ass", "srt", "vtt"])
def test_in_mp4_they_are_pieces_within_the_film(codec: str, tmp_path: Path) -> None:
    report = chain(with_cues(tmp_path / "film.mkv", codec, OVERLAPPING), tmp_path)
    assert subtitles_of(report.result) == IN_PIECES
    with av.open(str(report.result)) as back:
        assert back.duration == 2_000_000
    assert report.warnings == []


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_those_around_the_film(container: str, tmp_path: Path) -> None:
    """One is on when the film begins, one is over by then, and one begins when the film is over."""
    cues: list[Shown] = [(0.1, 0.3, "over"), (0.2, 0.7, "on"), (1.0, 0.2, "in"), (2.9, 0.5, "beyond")]
    path = with_cues(tmp_path / "film.mkv", "srt", cues, begins=500)
    start = float(probe(path).start)
    assert 0.4 < start <= 0.5
    report = chain(path, tmp_path, container=container)
    inside = [(0.0, round(0.9 - start, 2), "on"), (round(1.0 - start, 2), 0.2, "in")]
    if container == "mkv":
        assert subtitles_of(report.result) == [*inside, (round(2.9 - start, 2), 0.5, "beyond")]
        assert report.warnings == []
    else:
        assert subtitles_of(report.result) == inside
        assert report.warnings == ["subtitle track 1: 1 texts left out, as they begin after the film's end"]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_the_text_of_an_mp4_that_outlasts_it(container: str, tmp_path: Path) -> None:
    first = tmp_path / "film.mp4"
    with av.open(str(with_cues(tmp_path / "film.mkv", "srt", [(0.5, 4.0, "long")]))) as source:
        chunks_of = chain(Path(source.name), tmp_path, container="mkv").result
    with av.open(str(chunks_of)) as source, av.open(str(first), "w") as out:
        video = out.add_stream_from_template(source.streams.video[0])
        text = out.add_stream("mov_text")
        text.codec_context.subtitle_header = ASS_HEADER.encode()
        text.codec_context.time_base = text.time_base = Fraction(1, 1000)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                out.mux(packet)
        words: Packet[Any] = Packet(b"\x00\x04long")
        words.stream, words.time_base, words.pts, words.dts, words.duration = (
            text,
            Fraction(1, 1000),
            500,
            500,
            4000,
        )
        out.mux(words)
    (tmp_path / "again").mkdir()
    report = chain(first, tmp_path / "again", container=container)
    assert subtitles_of(report.result) == [(0.5, 1.5 if container == "mp4" else 4.0, "long")]


def test_a_partial_has_the_cues_of_its_part(tmp_path: Path) -> None:
    info = probe(with_cues(tmp_path / "film.mkv", "ass", OVERLAPPING))
    chunks, _ = make_chunks(info, (128, 64), tmp_path / "work", lengths=(30,))
    whole = {"mp4": IN_PIECES[:3], "mkv": OVERLAPPING[:4]}
    for container, texts in whole.items():
        expected = [(start, round(min(length, 1.2 - start), 3), text) for start, length, text in texts]
        result = tmp_path / f"partial.{container}"
        assemble(chunks[:1], info, result, "copy", container, partial=True)
        assert subtitles_of(result) == expected


def test_pieces() -> None:
    def joined(cues: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
        pieces, made = Pieces(), []
        for start, end, text in cues:
            made += pieces.add(Cue(Fraction(start), Fraction(end), text))
        made += pieces.finish()
        return [(int(piece.start), int(piece.end), piece.text) for piece in made]

    assert joined([]) == []
    assert joined([(1, 2, b"a"), (5, 6, b"b")]) == [(1, 2, b"a"), (5, 6, b"b")]
    assert joined([(1, 9, b"a"), (2, 3, b"b"), (2, 4, b"c"), (9, 10, b"d")]) == [
        (1, 2, b"a"), (2, 3, b"a\nb\nc"), (3, 4, b"a\nc"), (4, 9, b"a"), (9, 10, b"d"),
    ]  # fmt: skip
    assert joined([(1, 2, b"a"), (1, 2, b"a")]) == [(1, 2, b"a")]  # a shadow and its text
    assert joined([(3, 3, b"a"), (3, 2, b"b"), (3, 5, b"c")]) == [(3, 5, b"c")]


def test_what_is_told_late_is_shown_from_then_on() -> None:
    pieces = Pieces()
    assert pieces.add(Cue(Fraction(0), Fraction(9), b"a")) == []
    assert pieces.until(Fraction(4)) == [Cue(Fraction(0), Fraction(4), b"a")]
    assert pieces.add(Cue(Fraction(2), Fraction(6), b"b")) == []
    assert pieces.finish() == [
        Cue(Fraction(4), Fraction(6), b"a\nb"), Cue(Fraction(6), Fraction(9), b"a"),
    ]  # fmt: skip


def test_the_clock_of_cues() -> None:
    steady, restarting = CueClock(restarts=False), CueClock(restarts=True)
    times = [Fraction(n) for n in (5, 5, 6, 4, 7)]
    assert [steady.fix(time) for time in times] == [5, 5, 6, 6, 7]
    assert [restarting.fix(time) for time in times] == [5, 5, 6, 6, 9]
