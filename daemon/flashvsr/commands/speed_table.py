"""The table of `flashvsr bench speed`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from flashvsr.status.words import size_text

if TYPE_CHECKING:
    from flashvsr.bench.exactness import Exactness
    from flashvsr.bench.speed import Rate
    from flashvsr.bench.speed_report import Measurements
    from flashvsr.upscaling.engine import Engine

STAGE_WORDS = {
    "upload": "upload and enlarge",
    "project": "LQ projection",
    "layers": "transformer",
    "head": "patches and head",
    "decode": "decoder",
    "colour": "colour",
    "download": "to 8 bits and download",
    "rest": "rest",
}


def table_of(found: Measurements, engine: Engine) -> RenderableType:
    """Everything that was measured, for people."""
    number_format = str(engine.model.dtype).removeprefix("torch.")
    parts: list[RenderableType] = [
        f"{engine.name}, {number_format}, on {engine.label}",
        _rates(found),
        _stages(found),
        _peaks(found),
    ]
    if found.exactness is not None:
        parts.append(_exactness(found.exactness))
    return Group(*parts)


def _rates(found: Measurements) -> Table:
    table = Table("", "size", "frames/s", "ms per 8", "least", "most", "first, s")
    table.columns[0].no_wrap = True
    for column in table.columns[2:]:
        column.justify = "right"
    table.add_row("model alone", *_rate_cells(found.rate))
    job = found.job
    if found.usual is not None and job is not None:
        if found.usual.size != found.rate.size:
            table.add_row("model alone", *_rate_cells(found.usual))
        table.add_row("end to end", size_text(job.job.size), f"{job.frames_per_second:.1f}")
        table.caption = (
            f"end to end: {job.frames} frames of {size_text(job.job.clip)}, {job.encoder}, "
            f"{found.share_of_model:.0%} of the model alone"
        )
    return table


def _rate_cells(rate: Rate) -> list[str]:
    times = [1000 * seconds for seconds in (rate.median, min(rate.windows), max(rate.windows))]
    return [
        size_text(rate.size),
        f"{rate.frames_per_second:.1f}",
        *(f"{time:.1f}" for time in times),
        f"{rate.first:.2f}",
    ]


def _stages(found: Measurements) -> Table:
    unit, words_of_unit = (1e12, "TFLOP") if found.work.total > 1e12 else (1e9, "GFLOP")
    table = Table("stage", "ms per 8", words_of_unit, "share of peak")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, words in STAGE_WORDS.items():
        if name in found.stages:
            flops, share = found.stage_work(name), found.stage_share(name)
            table.add_row(
                "decoder and colour" if name == "decode" and "colour" not in found.stages else words,
                f"{1000 * found.stages[name]:.2f}",
                f"{flops / unit:.3f}" if flops else "",
                f"{share:.1%}" if share is not None else "",
            )
    table.add_section()
    table.add_row(
        "window", f"{1000 * found.rate.median:.2f}", f"{found.work.total / unit:.3f}", f"{found.share_of_peak:.1%}"
    )
    return table


def _peaks(found: Measurements) -> str:
    peaks, memory = found.peaks, found.memory
    lines = [
        f"peak: {peaks.matrix / 1e12:.2f} TFLOP/s in a product of {peaks.side}x{peaks.side}, "
        f"{peaks.copy / 1e9:.0f} GB/s of copying"
    ]
    if peaks.upload is not None and peaks.download is not None:
        lines.append(f"bus: {peaks.upload / 1e9:.1f} GB/s up, {peaks.download / 1e9:.1f} GB/s down, pinned")
    if memory.allocated is not None and memory.reserved is not None:
        lines.append(
            f"memory of the GPU at most: {memory.allocated / 2**30:.2f} GiB in tensors, "
            f"{memory.reserved / 2**30:.2f} GiB taken"
        )
    lines.append(f"memory of the process at most: {memory.host / 2**30:.2f} GiB")
    return "\n".join(lines)


def _exactness(found: Exactness) -> Table:
    table = Table("window", "latents: relative error", "frames: PSNR, dB", title="against the plain path in float32")
    for column in table.columns:
        column.justify = "right"
    for number, (error, psnr) in enumerate(zip(found.latent_errors, found.psnr, strict=True)):
        table.add_row(str(number), f"{error:.2e}", "equal" if psnr is None else f"{psnr:.1f}")
    if found.drift is not None:
        table.caption = f"second half of the windows {found.drift:.2f} dB below the first"
    return table
