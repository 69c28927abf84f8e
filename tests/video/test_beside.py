"""What is foretold of the tracks beside the picture is what the result then has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest

from flashvsr.video.beside import beside
from flashvsr.video.probe import probe
from kits.chain import chain
from kits.films import film
from kits.paths import CLIPS, DATA
from kits.videos import tone


def tracks_of(path: Path) -> tuple[int, int]:
    with av.open(str(path)) as container:
        return len(container.streams.audio), len(container.streams.subtitles)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "options"),
    [
        (CLIPS / "movie-hello.mpeg", {}),
        (CLIPS / "movie-hello.mpeg", {"container": "mkv"}),
        (CLIPS / "ocean.webm", {}),
        (CLIPS / "ocean.webm", {"audio": "aac"}),
        (CLIPS / "ocean.webm", {"audio": "none"}),
        (DATA / "carried" / "iphone.mov", {}),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else " ".join(value.values()) or "default",
)
def test_it_is_what_the_result_has(source: Path, options: dict[str, Any], tmp_path: Path) -> None:
    wanted = {"audio": "copy", "container": "mp4"} | options
    found = beside(probe(source), wanted["audio"], wanted["container"])
    report = chain(source, tmp_path, width=128, **options)
    assert (found.audio, found.subtitles) == tracks_of(report.result)
    foretold = [remark for remark in found.remarks if '"none"' not in remark]
    assert set(foretold) <= set(report.warnings)


def test_every_track_has_its_remark(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mkv", ["aac", "pcm_s16le", "mp2"], [tone(1)] * 3, seconds=1)
    info = probe(source)
    assert beside(info, "copy", "mkv").remarks == ()
    found = beside(info, "copy", "mp4")
    assert found.audio == 3
    assert [remark.split(":")[0] for remark in found.remarks] == [
        "audio track 2 (pcm_s16le) encoded as AAC",
        "audio track 3 (mp2) encoded as AAC",
    ]
    assert beside(info, "none", "mp4").audio == 0
    assert beside(info, "none", "mp4").remarks == ('3 audio tracks left out: the preset asks for audio = "none"',)
