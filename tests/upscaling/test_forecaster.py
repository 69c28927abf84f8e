"""What will be made of a file, told before the work and without a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flashvsr.errors import BadInput
from flashvsr.files.trees import NO_LINKS
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset
from flashvsr.settings.processing_tables import SourceLimits
from flashvsr.upscaling import forecaster
from flashvsr.upscaling.forecaster import Forecaster, forecast
from flashvsr.upscaling.prober import Prober
from kits.chain import chain
from kits.paths import CLIPS
from kits.videos import numbered, tone, write_video

CLIP = CLIPS / "movie-hello.mpeg"


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with closing(Prober(Config().limits.memory)) as prober:
        yield prober


@pytest.mark.slow
def test_the_result_is_what_was_foretold(prober: Prober, tmp_path: Path) -> None:
    preset = Preset(scale=1.0, encoder="software", limit="")
    found = forecast(NO_LINKS, CLIP, preset, Config(), prober)
    report = chain(CLIP, tmp_path, fit="pad", quality=preset.quality)
    assert found.result == report.geometry.output
    assert found.model == report.geometry.model
    assert found.source == (report.source["width"], report.source["height"])
    assert found.audio == report.audio_tracks == 1
    assert found.frames == pytest.approx(report.frames, abs=2)
    assert set(found.remarks) <= set(report.warnings)
    assert any("AAC" in remark for remark in found.remarks)
    assert found.skipped == found.refused == ""
    assert found.size is not None
    assert 0.1 < found.size / report.result.stat().st_size < 10


def test_what_would_be_skipped_or_refused_says_why(prober: Prober) -> None:
    skipped = forecast(NO_LINKS, CLIP, Preset(limit="128x128"), Config(), prober)
    assert "pixels already" in skipped.skipped
    assert (skipped.result, skipped.model, skipped.size, skipped.refused) == (None, None, None, "")
    forced = forecast(NO_LINKS, CLIP, Preset(limit="128x128"), Config(), prober, force=True)
    assert forced.skipped == ""
    assert forced.result is not None
    refused = forecast(NO_LINKS, CLIP, Preset(width=4096, scale=8.0, limit=""), Config(), prober)
    assert "encoders take" in refused.refused
    assert (refused.result, refused.skipped) == (None, "")


def test_what_is_no_video_is_refused(prober: Prober, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a video")
    with pytest.raises(BadInput, match=r"notes\.mp4"):
        forecast(NO_LINKS, text, Preset(), Config(), prober)


def test_the_limits_of_the_settings_hold(prober: Prober, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", [numbered(n) for n in range(4)], audio=tone(0.1))
    with pytest.raises(BadInput, match="limits"):
        forecast(NO_LINKS, clip, Preset(), Config(limits=SourceLimits(side=64)), prober)


def test_a_limit_of_auto_is_that_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecaster, "largest_here", lambda attention: (1000, 1000) if attention == "auto" else (1, 1))
    with closing(Forecaster()) as look:
        assert max(look(CLIP, Preset(), Config()).result or (0,)) == 1000
        with pytest.raises(BadInput):
            look(CLIP, Preset(), Config(limits=SourceLimits(side=64)))
        assert look(CLIP, Preset(limit="800x800"), Config(limits=SourceLimits(memory=3 << 30))).result is not None


def test_a_sample_is_foretold_as_one(prober: Prober, tmp_path: Path) -> None:
    whole, sample = (forecast(NO_LINKS, CLIP, Preset(seconds=seconds), Config(), prober) for seconds in (0, 0.5))
    report = chain(CLIP, tmp_path, seconds=0.5)
    assert whole.frames is not None
    assert whole.size is not None
    assert (sample.frames, sample.seconds) == (report.frames, whole.seconds)
    assert sample.size == pytest.approx(whole.size * report.frames / whole.frames, rel=0.01)
    assert "only its first 0.5 s will be made, as seconds in the preset asks for" in sample.remarks
    assert len(whole.remarks) == len(sample.remarks) - 1
