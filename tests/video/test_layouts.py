"""Channels for AAC: whatever layout comes, each of its channels is heard in the result."""

from __future__ import annotations

from fractions import Fraction

import av
import av.filter
import numpy as np
import pytest

from flashvsr.video.layouts import aac_layout, channels_of, is_mixed_down, mixer

TOLD = """mono stereo downmix 2.1 3.0 3.0(back) 4.0 quad quad(side) 3.1 5.0 5.0(side) 4.1 5.1 5.1(side) 6.0 6.0(front)
3.1.2 hexagonal 6.1 6.1(back) 6.1(front) 7.0 7.0(front) 7.1 7.1(wide) 7.1(wide-side) 5.1.2 octagonal cube 5.1.4 7.1.2
7.1.4 7.2.3 9.1.4 hexadecagonal 22.2""".split()  # noqa: SIM905
UNTOLD = [f"{count} channels" for count in (*range(1, 10), 12, 16, 24)]


def heard(layout: str, channel: int, target: str) -> float:
    """How loud the mix is of a layout in which one channel alone sounds."""
    source = av.AudioLayout(layout)
    graph = av.filter.Graph()
    mixed = mixer(source, target)
    chain = [
        graph.add_abuffer(sample_rate=48000, format="flt", layout=layout, time_base=Fraction(1, 48000)),
        *([graph.add("pan", mixed)] if mixed else []),
        graph.add("aformat", f"sample_fmts=flt:channel_layouts={target}"),
        graph.add("abuffersink"),
    ]
    graph.link_nodes(*chain)
    graph.configure()
    samples = np.zeros((512, source.nb_channels), np.float32)
    samples[:, channel] = 1
    frame = av.AudioFrame("flt", layout, 512)
    frame.planes[0].update(samples.tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
    frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
    graph.push(frame)
    graph.push(None)
    used = 512 * channels_of(target)
    return float(np.abs(np.frombuffer(bytes(graph.pull().planes[0]), np.float32)[:used]).max())


@pytest.mark.parametrize("layout", [*TOLD, *UNTOLD, "ambisonic 1"])
def test_no_channel_is_lost(layout: str) -> None:
    source = av.AudioLayout(layout)
    target = aac_layout(source)
    assert is_mixed_down(source) == (source.nb_channels > 8 or layout in ("cube", "ambisonic 1"))
    # A sound field's height and depth cannot be heard in stereo; all of it is in its first component as well.
    kept = range(2) if layout.startswith("ambisonic") else range(source.nb_channels)
    assert min(heard(layout, channel, target) for channel in kept) > 0.02


@pytest.mark.parametrize(
    ("layout", "target"),
    [("mono", "mono"), ("stereo", "stereo"), ("3.0", "3.0"), ("2.1", "5.1"), ("quad", "5.0"), ("5.1(side)", "5.1"),
     ("6.1", "7.1"), ("7.1", "7.1"), ("9 channels", "stereo"), ("0 channels", "stereo")],
)  # fmt: skip
def test_the_smallest_layout_that_holds_all(layout: str, target: str) -> None:
    source = av.AudioLayout(layout) if layout[0] != "0" else av.CodecContext.create("aac", "r").layout
    assert aac_layout(source) == target
    assert aac_layout(source, 6) == (target if target in ("7.1", "5.1") or source.nb_channels > 8 else "5.1")
