from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from flashvsr.errors import BadInput, FlashVSRError, Interrupted, Transient
from flashvsr.files.trees import NO_LINKS, OWN, Trees
from flashvsr.outbox.publish import Outbox
from flashvsr.video import mux
from flashvsr.video.chunks import Chunk
from flashvsr.video.media import hold_source
from flashvsr.video.mux import assemble
from flashvsr.video.probe import SourceInfo, probe
from flashvsr.video.verify import verify
from kits.videos import (
    ALL_CLIPS,
    CLIPS_WITH_SOUND,
    FRAME_COUNTS,
    clip_info,
    frames_of,
    lag_ms,
    make_chunks,
    numbered,
    sound_of,
    tone,
    write_video,
)  # fmt: skip

SIZE = (128, 128)


def upscaled(
    info: SourceInfo,
    folder: Path,
    container: str,
    audio: str = "copy",
    *,
    chunks: list[Chunk] | None = None,
    **how: Any,
) -> Path:
    """The source's frames in the result's container, made and verified like a real result."""
    chunks = chunks or make_chunks(info, SIZE, folder / "work")[0]
    result = folder / f"result-{audio}.{container}"
    made = assemble(chunks, info, result, audio, container, **how)
    verify(result, made.frames, SIZE, made.duration, made.audio_tracks)
    return result


@pytest.mark.slow
@pytest.mark.parametrize("path", ALL_CLIPS, ids=lambda p: p.name)
def test_every_clip_comes_back_with_its_times_and_its_sound(path: Path, tmp_path: Path) -> None:
    info = probe(path)
    chunks, _ = make_chunks(info, SIZE, tmp_path / "work")
    with av.open(str(path)) as source:
        source.flags &= ~1
        stream = source.streams.video[info.video_index if len(source.streams.video) > 1 else 0]
        stamps = [frame.pts if frame.pts is not None else frame.dts for frame in source.decode(stream)]
        times = [stamp * stream.time_base - info.start for stamp in stamps]
        tick = min((stream.time_base or Fraction(1)), Fraction(1, 1000))
    for container, audio in (("mp4", "copy"), ("mkv", "copy"), ("mp4", "aac")):
        result = upscaled(info, tmp_path, container, audio, chunks=chunks)
        joined = frames_of(result)
        assert len(joined) == FRAME_COUNTS[path.name]
        rounding = Fraction(1, 2000) if container == "mkv" else 0
        assert max(abs(a - b) for (a, _), b in zip(joined, times, strict=True)) <= tick + rounding
        with av.open(str(result)) as back:
            assert len(back.streams.audio) == len(info.audio)
            assert back.streams.video[0].sample_aspect_ratio in (info.sample_aspect, None)
            assert probe(result).sample_aspect == info.sample_aspect
        if path in CLIPS_WITH_SOUND:
            assert_in_sync(path, info, result)


def assert_in_sync(path: Path, info: SourceInfo, result: Path) -> None:
    before, after = sound_of(path, info.start, 3), sound_of(result, Fraction(0), 3)
    if not before.any():  # the film with the silent track
        assert path.name == "ocean.webm"
        assert not after.any()
        return
    lag, likeness = lag_ms(before, after)
    assert abs(lag) < 2
    assert likeness > 0.8  # AAC codes room noise as noise; shifted by a frame it would be below 0.1
    heard = [np.flatnonzero(np.abs(sound) > 1e-3) for sound in (before, after)]
    assert abs(int(heard[0][-1]) - int(heard[1][-1])) < 8000 * 0.025  # the end is there as well


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["pcm_s16le", "flac", "mp3", "libopus"])
def test_a_long_track_is_in_sync_to_its_end(codec: str, tmp_path: Path) -> None:
    source = write_video(
        tmp_path / "talk.mkv", [numbered(n % 256, 64, 64) for n in range(240)], Fraction(24000, 1001),
        audio=tone(10.0, channels=2), audio_codec=codec, options={"preset": "ultrafast"},
    )  # fmt: skip
    info = probe(source)
    chunks, _ = make_chunks(info, SIZE, tmp_path / "work", lengths=(80,))
    before = sound_of(source, info.start, 11)
    for container in ("mp4", "mkv"):
        result = upscaled(info, tmp_path, container, chunks=chunks)
        after = sound_of(result, Fraction(0), 11)
        for part in (slice(0, 16000), slice(32000, 48000), slice(64000, 80000)):
            lag, likeness = lag_ms(before[part], after[part])
            assert abs(lag) < 5
            assert likeness > 0.9
        with av.open(str(result)) as back:
            kept = back.streams.audio[0].codec_context.name
            expected = codec.removeprefix("lib") if container == "mkv" or codec in ("mp3", "libopus") else "aac"
            assert kept.startswith(expected)


def test_what_was_recoded_is_said(tmp_path: Path) -> None:
    info = clip_info("movie-hello.mpeg")
    chunks, _ = make_chunks(info, SIZE, tmp_path / "work")
    made = assemble(chunks, info, tmp_path / "a.mp4", "copy", "mp4")
    assert made.warnings == ("audio track 1 (mp2) encoded as AAC: mp4 players do not take mp2",)
    silent = assemble(chunks, info, tmp_path / "b.mp4", "none", "mp4")
    assert (silent.audio_tracks, silent.warnings) == (0, ())


@pytest.mark.slow
@pytest.mark.parametrize("audio", ["copy", "aac"])
def test_a_partial_ends_its_sound_with_the_picture(audio: str, tmp_path: Path) -> None:
    source = write_video(tmp_path / "talk.mp4", [numbered(n) for n in range(100)], audio=tone(4.0), options={"g": "10"})
    info = probe(source)
    chunks, _ = make_chunks(info, SIZE, tmp_path / "work", lengths=(30,))
    result = tmp_path / "talk_partial.mp4"
    made = assemble(chunks[:2], info, result, audio, "mp4", partial=True)
    assert (made.frames, made.duration) == (60, 2.4)
    verify(result, 60, SIZE, 2.4, 1)
    with av.open(str(result)) as back:
        ends = [p.pts * p.time_base for p in back.demux(audio=0) if p.size]
    assert 2.3 < max(ends) < 2.4
    lag, likeness = lag_ms(sound_of(source, info.start, 2.3), sound_of(result, Fraction(0), 2.3))
    assert abs(lag) < 2
    assert likeness > 0.95


def test_tracks_languages_title_chapters_and_subtitles(tmp_path: Path) -> None:
    source = tmp_path / "film.mkv"
    sound = tone(2.0)
    with av.open(str(source), "w") as out:
        out.metadata["title"] = "A film"
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 128, 128, "yuv420p"
        tracks = []
        for language, name in (("eng", "Original"), ("deu", "Kommentar")):
            track = out.add_stream("aac", rate=48000)
            track.codec_context.layout = "mono"
            track.metadata.update(language=language, title=name)
            tracks.append(track)
        if hasattr(out, "set_chapters"):
            out.set_chapters([
                {"id": n, "start": n * 500, "end": n * 500 + 500, "time_base": Fraction(1, 1000),
                 "metadata": {"title": f"Part {n}"}} for n in range(4)
            ])  # fmt: skip
        for index in range(50):
            frame = av.VideoFrame.from_ndarray(numbered(index), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(video.encode(frame))
            for track in tracks:
                block = np.ascontiguousarray(sound[:, index * 1920 : index * 1920 + 1920])
                heard = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
                heard.sample_rate, heard.pts, heard.time_base = 48000, index * 1920, Fraction(1, 48000)
                out.mux(track.encode(heard))
        out.mux(video.encode(None))
        for track in tracks:
            out.mux(track.encode(None))
    info = probe(source)
    assert [(a.language, a.title) for a in info.audio] == [("eng", "Original"), ("deu", "Kommentar")]
    for container in ("mp4", "mkv"):
        result = upscaled(info, tmp_path, container)
        with av.open(str(result)) as back:
            assert back.metadata.get("title", back.metadata.get("TITLE")) == "A film"
            assert [stream.language for stream in back.streams.audio] == ["eng", "deu"]
            if hasattr(back, "chapters"):
                chapters = back.chapters()
                assert [c["start"] * c["time_base"] for c in chapters] == [0, 0.5, 1, 1.5]
                assert chapters[2]["metadata"]["title"] == "Part 2"


def test_mp4_starts_with_its_index_and_hevc_is_hvc1(tmp_path: Path) -> None:
    info = clip_info("bigbuckbunny.mp4")
    chunks, _ = make_chunks(info, SIZE, tmp_path / "work", "hevc")
    result = tmp_path / "result.mp4"
    assemble(chunks, info, result, "copy", "mp4")
    data = result.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert b"hvc1" in data


def test_verify_names_what_differs(tmp_path: Path) -> None:
    result = upscaled(clip_info("bigbuckbunny.mp4"), tmp_path, "mp4")
    verify(result, 35, SIZE, 1.4, 1)
    verify(result, 35, SIZE, 1.43)  # within a frame
    with pytest.raises(FlashVSRError) as caught:
        verify(result, 36, (128, 256), 1.5, 2)
    for problem in (
        "35 frames instead of 36",
        "128x128 pixels",
        "1.400 s instead of 1.500 s",
        "1 audio tracks",
    ):
        assert problem in str(caught.value)
    result.write_bytes(result.read_bytes()[:5000])
    with pytest.raises(FlashVSRError):
        verify(result, 35, SIZE, 1.4)


def test_a_result_is_checked_and_named_whatever_is_put_in_its_place(tmp_path: Path) -> None:
    info = clip_info("bigbuckbunny.mp4")
    chunks, _ = make_chunks(info, SIZE, tmp_path / "work")
    share = tmp_path / "share"
    share.mkdir()
    victim = tmp_path / "victim"
    victim.write_bytes(b"secret")
    calls = 0

    def exchange() -> None:
        nonlocal calls
        calls += 1
        if calls == 20:  # while it is joined; the muxer opens it again to move its index to the front
            made.path.rename(share / "taken")
            made.path.symlink_to(victim)

    trees = Trees((share,))
    outbox = Outbox(trees)
    with outbox.new_result(share / ".flashvsr-1-0123abcd.mp4.part") as made:
        joined = assemble(chunks, info, made.path, "copy", "mp4", progress=exchange, opener=made.opener)
        verify(made.path, 35, SIZE, 1.4, 1, opener=made.opener)
        with pytest.raises(Transient, match="symbolic link"):
            verify(made.path, 35, SIZE, 1.4, 1, opener=trees.open_file)
        result = outbox.publish(made, share / "a.mp4", lambda *_: None)
    assert calls > 20
    assert joined.frames == len(frames_of(result)) == 35
    assert result.samefile(share / "taken")
    assert (victim.read_bytes(), victim.stat().st_nlink) == (b"secret", 1)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["pipe", "directory"])
def test_a_source_that_became_something_else_is_not_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a.mov")
    with pytest.raises(BadInput, match="not a regular file"):
        probe(tmp_path / "a.mov")
    for trees in (Trees((tmp_path,)), OWN, NO_LINKS):
        with pytest.raises(BadInput, match="not a regular file"), hold_source(trees, tmp_path / "a.mov"):
            pass


@pytest.mark.slow
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    """The second pass over 600 frames needs no more memory than the first, and that less than the frames."""
    import resource

    source = write_video(tmp_path / "long.mp4", [numbered(n % 256) for n in range(200)] * 3, 25)
    info = probe(source)
    make_chunks(info, SIZE, tmp_path / "warm", lengths=(50,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    chunks, _ = make_chunks(info, SIZE, tmp_path / "work", lengths=(50,))
    assemble(chunks, info, tmp_path / "long_result.mp4", "copy", "mp4")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(chunk.frames for chunk in chunks) == 600
    assert (after - before) / 1024 < 20  # MiB; the frames themselves would be 28 MiB


def test_every_part_of_the_end_tells_that_it_goes_on(tmp_path: Path) -> None:
    """Joining, moving the index to the front while the file is closed, checking: none may look like a freeze."""
    pictures = [np.random.default_rng(index).integers(0, 256, (256, 256, 3), np.uint8) for index in range(40)]
    info = probe(write_video(tmp_path / "source.mp4", pictures, options={"qp": "0"}))
    chunks, _ = make_chunks(info, SIZE, tmp_path / "work", quality=10)
    sizes: list[int] = []
    result = tmp_path / "result.mp4"
    made = assemble(
        chunks,
        info,
        result,
        "none",
        "mp4",
        progress=lambda: sizes.append(result.stat().st_size if result.exists() else 0),
    )
    assert len(sizes) >= 40 + 3
    content = result.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    calls: list[None] = []
    verify(result, made.frames, SIZE, made.duration, progress=lambda: calls.append(None))
    assert len(calls) >= 40


@pytest.mark.slow
@pytest.mark.parametrize("call", [1, 20, -1])
def test_a_request_to_stop_ends_the_joining(call: int, tmp_path: Path) -> None:
    info = clip_info("movie-hello.mp4")
    chunks, _ = make_chunks(info, SIZE, tmp_path / "work")
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    assemble(chunks, info, tmp_path / "whole.mp4", "copy", "mp4", progress=count)
    last = calls if call < 0 else call  # the last one comes from within the closing of the file
    calls = 0

    def stop() -> None:
        count()
        if calls >= last:
            raise Interrupted("stop")

    with pytest.raises(Interrupted):
        assemble(chunks, info, tmp_path / "cut.mp4", "copy", "mp4", progress=stop)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        ("copy", [("copy", True), ("aac", True), ("aac", False), ("none", False)]),
        ("aac", [("aac", True), ("aac", False), ("none", False)]),
        ("none", [("none", True), ("none", False)]),
    ],
)
def test_refused_tracks_are_tried_in_other_ways(
    audio: str, expected: list[tuple[str, bool]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked for first; then less and less, until the picture alone is left; and it is said."""
    tried: list[tuple[str, bool]] = []
    run = mux._Assembly.run

    def refuse(assembly: mux._Assembly) -> mux.Assembled:
        tried.append((assembly.wishes.audio, assembly.wishes.subtitles))
        if tried != expected:
            raise mux._Refused("not today")
        return run(assembly)

    monkeypatch.setattr(mux._Assembly, "run", refuse)
    info = clip_info("bigbuckbunny.mp4")
    chunks, _ = make_chunks(info, SIZE, tmp_path / "work")
    made = assemble(chunks, info, tmp_path / "a.mp4", audio, "mp4")
    assert tried == expected
    assert (made.frames, made.audio_tracks) == (35, 0)
    assert made.warnings[-1] == "so they were written with no sound and no subtitles"
