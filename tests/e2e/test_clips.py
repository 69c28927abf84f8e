"""Awkward real files through the running service: what comes out matches what went in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kits.media_facts import facts
from kits.real_service import RealService

pytestmark = pytest.mark.timeout(600)

# Audio codec that the result has, where it is not the source's.
REENCODED = {"movie-hello.ogg": "aac", "ocean.webm": "aac", "movie-hello.mpeg": "aac"}
BT601, LIMITED = 6, 1


def test_every_clip_comes_back_whole(make_service: Callable[..., RealService], clips: Path) -> None:
    service = make_service()
    sources = sorted(path for path in clips.iterdir() if path.suffix not in {".md", ".txt"})
    assert len(sources) >= 8
    service.start()
    for source in sources:
        # One stem each: movie-hello.avi and .mp4 would be told apart by a number.
        shutil.copyfile(source, service.inbox / f"{source.stem}-{source.suffix[1:]}{source.suffix}")

    for source in sources:
        name = f"{source.stem}-{source.suffix[1:]}{source.suffix}"
        job = service.until_state(name, "done", "failed")
        assert job.state == "done", job.error
        assert job.model == "nano"
        result = service.outbox / f"{Path(name).stem}.mp4"
        _compare(source, result)
    assert service.stop() == 0
    archive = service.state / "archive" / "clips"
    assert sorted(path.name for path in archive.iterdir()) == sorted(
        f"{s.stem}-{s.suffix[1:]}{s.suffix}" for s in sources
    )
    assert [path.name for path in service.inbox.iterdir()] == ["preset.toml"]
    assert not [path for path in service.outbox.iterdir() if path.name.startswith(".")]
    assert not list((service.state / "jobs").iterdir())


def _compare(source: Path, result: Path) -> None:
    before, after = facts(source), facts(result)
    width, height = before.size
    expected_height = 2 * int(128 * height / width / 2 + 0.5)
    assert after.size == (128, expected_height), source.name
    assert len(after.video_times) == len(before.video_times), source.name
    # A tick of the coarsest source clock here is 1 ms; AVI and Ogg count in whole frames.
    for number, (old, new) in enumerate(zip(before.video_times, after.video_times, strict=True)):
        assert abs(old - new) <= 0.0015, f"{source.name}: frame {number} at {float(new):.4f}, was {float(old):.4f}"
    assert len(after.audio) == len(before.audio), source.name
    for (codec, start, end), (new_codec, new_start, new_end) in zip(before.audio, after.audio, strict=True):
        assert new_codec == REENCODED.get(source.name, codec), source.name
        slack = 0.02 if source.name in REENCODED else 0.0015  # an AAC frame is 21 ms
        assert abs(start - new_start) <= slack, f"{source.name}: sound starts at {new_start}, was {start}"
        assert abs(end - new_end) <= 2 * slack, f"{source.name}: sound ends at {new_end}, was {end}"
    assert (after.matrix, after.color_range) == (BT601, LIMITED)
