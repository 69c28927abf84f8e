from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from flashvsr.settings.preset import Preset
from flashvsr.video.geometry import plan
from flashvsr.video.mux import assemble
from flashvsr.video.picture import before_after
from flashvsr.video.probe import probe
from kits.videos import clip_info, make_chunks, number_of, numbered, write_video


def read(path: Path) -> np.ndarray:
    assert path.read_bytes().startswith(b"\x89PNG")
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def test_both_halves_show_the_same_moment_and_detail(tmp_path: Path) -> None:
    pictures = [numbered(n, 192, 128) for n in range(30)]
    for n, picture in enumerate(pictures):
        picture[100:110, 150:166:2] = 255 - 8 * n  # the busiest place
    source = write_video(tmp_path / "a.mp4", pictures, options={"crf": "5"})
    info = probe(source)
    chunks, _ = make_chunks(info, (384, 256), tmp_path / "work", quality=9)
    result = tmp_path / "b.mp4"
    assemble(chunks, info, result, "none", "mp4")
    target = tmp_path / "picture.png"
    before_after(source, result, target, at=0.8)
    picture = read(target)
    assert picture.shape == (256 + 8 + 256, 384 + 8 + 384, 3)
    left, right = picture[:, :384].astype(int), picture[:, -384:].astype(int)
    assert number_of(left[:180]) == number_of(right[:180]) == 20
    assert np.abs(left - right).mean() < 3
    assert left[264:].std() > 25  # the zoomed part shows the busiest place, not a flat one
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4", "picture.png", "work"]


def test_cropped_results_are_laid_over_the_right_place(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", [numbered(5, 300, 180)] * 3)
    info = probe(source)
    geometry = plan(info.width, info.height, Preset(width=300, scale=1.0, fit="crop"))
    assert geometry.output == (256, 128)
    x, y = geometry.offset
    picture = numbered(5, 300, 180)[y : y + 128, x : x + 256]
    result = write_video(tmp_path / "b.mp4", [picture] * 3)
    target = tmp_path / "picture.png"
    before_after(source, result, target, at=None, geometry=geometry)
    shown = read(target).astype(int)
    assert np.abs(shown[:128, :256] - shown[:128, -256:]).mean() < 3


def test_real_clips(tmp_path: Path) -> None:
    info = clip_info("carphone_pristine.mp4")
    chunks, _ = make_chunks(info, (256, 128), tmp_path / "work")
    assemble(chunks, info, tmp_path / "b.mp4", "none", "mp4")
    before_after(info.path, tmp_path / "b.mp4", tmp_path / "p.png")
    assert read(tmp_path / "p.png").shape == (128 + 8 + 128, 256 + 8 + 256, 3)
