"""Loading weights: published ones fit, small ones fit, anything else is refused with a telling message."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from flashvsr.errors import BadConfig
from flashvsr.model.loading import Loaded, assemble, check_files, load_model
from flashvsr.model.network import FlashVSR
from flashvsr.model.stages import plain_stages
from flashvsr.model.stream import Stream, StreamSpec
from flashvsr.model.weight_files import DECODER_FILE, DIT_FILE, LQ_FILE, PROMPT_FILE, REQUIRED_FILES
from kits.golden_cases import lq_video
from kits.models import (
    PROMPT_SHAPE,
    TINY,
    Shapes,
    decoder_shapes,
    dit_shapes,
    load,
    lq_shapes,
    on_meta,
    write_folder,
    write_sparse_safetensors,
)

# The published model, by names and shapes.


def full(**changes: Any) -> Loaded:
    parts = {
        "dit": on_meta(dit_shapes()),
        "lq": on_meta(lq_shapes()),
        "decoder": on_meta(decoder_shapes()),
        "prompt": torch.empty(PROMPT_SHAPE, dtype=torch.bfloat16, device="meta"),
    }
    return assemble("FlashVSR-v1.1", **(parts | changes), device="meta", dtype=torch.bfloat16)  # type: ignore[arg-type]


def test_the_published_model_is_accepted() -> None:
    assert len(dit_shapes()) == 825
    loaded = full()
    model = loaded.model
    assert loaded.notes == ()
    assert (model.dit.params.dim, model.dit.params.heads, model.dit.params.layers) == (1536, 12, 30)
    assert (model.dit.params.ffn, model.dit.params.text_dim, model.dit.params.freq_dim) == (8960, 4096, 256)
    assert model.lq_projection.params.hidden == (2048, 3072)
    assert model.decoder.params.channels == (512, 256, 128, 128)
    assert model.prompt.shape == PROMPT_SHAPE
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.bfloat16}
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.slow
def test_every_single_key_of_the_published_model_is_needed() -> None:
    for part, shapes, file in (
        ("dit", dit_shapes(), DIT_FILE),
        ("lq", lq_shapes(), LQ_FILE),
        ("decoder", decoder_shapes(), DECODER_FILE),
    ):
        names = list(shapes)
        for name in {names[0], names[len(names) // 2], names[-1], *names[:: max(1, len(names) // 3)]}:
            state = on_meta({key: shape for key, shape in shapes.items() if key != name})
            with pytest.raises(BadConfig, match="is missing") as caught:
                full(**{part: state})
            assert f"FlashVSR-v1.1/{file}: {name} is missing" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "shapes", "key", "shape", "expected"),
    [
        ("dit", dit_shapes(), "blocks.17.ffn.2.weight", (1536, 8959), "(1536, 8960)"),
        ("dit", dit_shapes(), "head.head.weight", (60, 1536), "(64, 1536)"),
        ("dit", dit_shapes(), "blocks.29.modulation", (6, 1536), "(1, 6, 1536)"),
        ("lq", lq_shapes(), "conv2.weight", (3072, 2048, 3, 3, 3), "(3072, 2048, 4, 3, 3)"),
        ("lq", lq_shapes(), "norm1.gamma", (2048,), "(2048, 1, 1, 1)"),
        ("decoder", decoder_shapes(), "decoder.1.weight", (512, 768, 3, 3), "(512, 784, 3, 3)"),
        ("decoder", decoder_shapes(), "decoder.21.conv.weight", (128, 128, 1, 1), "(256, 128, 1, 1)"),
    ],
)
def test_a_wrong_shape(part: str, shapes: Shapes, key: str, shape: tuple[int, ...], expected: str) -> None:
    with pytest.raises(BadConfig) as caught:
        full(**{part: on_meta(shapes | {key: shape})})
    assert f"{key} has shape {shape}, expected {expected}" in str(caught.value)


def test_many_problems_are_counted_and_not_all_listed() -> None:
    half = {key: shape for i, (key, shape) in enumerate(dit_shapes().items()) if i % 2 == 0 or i < 40}
    with pytest.raises(BadConfig) as caught:
        full(dit=on_meta(half))
    message = str(caught.value)
    assert message.count("is missing") == 5
    assert f"and {825 - len(half) - 5} more" in message
    assert len(message) < 1000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": torch.empty(1, 512, 2048)}, "the prompt has shape (1, 512, 2048), expected (1, n, 4096)"),
        ({"prompt": torch.empty(512, 4096)}, "the prompt has shape (512, 4096), expected (1, n, 4096)"),
        ({"prompt": torch.empty(1, 0, 4096)}, "the prompt has shape (1, 0, 4096)"),
        (
            {"prompt": torch.empty(1, 8, 4096, dtype=torch.int64)},
            "posi_prompt.pth: the prompt is in another number format",
        ),
        (
            {"lq": on_meta(lq_shapes(dim=2048))},
            "linear_layers.0.weight has shape (2048, 3072), expected (1536, 3072)",
        ),
        ({"dit": on_meta(dit_shapes(dim=1500))}, "patch_embedding.weight has shape (1500, 16, 1, 2, 2)"),
        (
            {"dit": on_meta(dit_shapes(), torch.int8)},
            "patch_embedding.weight is in another number format",
        ),
    ],
)
def test_files_that_do_not_fit_each_other(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadConfig) as caught:
        full(**changes)
    assert message in str(caught.value)


def test_surplus_tensors() -> None:
    noted = full(decoder=on_meta(decoder_shapes() | {"encoder.0.weight": (8, 3, 3, 3)})).notes
    assert noted == ("TCDecoder.ckpt: 1 tensors are not used, the first is encoder.0.weight",)
    with pytest.raises(BadConfig, match=r"img_emb.proj.0.weight \(1280,\) does not belong"):
        full(dit=on_meta(dit_shapes() | {"img_emb.proj.0.weight": (1280,)}))


def test_a_missing_layer_and_a_stray_number() -> None:
    gap = {key: shape for key, shape in dit_shapes().items() if not key.startswith("blocks.4.")}
    with pytest.raises(BadConfig, match=r"blocks\.4 is missing"):
        full(dit=on_meta(gap))
    stray = dit_shapes() | {"blocks.999999999.modulation": (1, 6, 1536)}
    with pytest.raises(BadConfig, match=r"blocks\.30 is missing"):
        full(dit=on_meta(stray))


def test_checking_a_folder_of_full_size_takes_no_memory(folder: Path) -> None:
    length = write_sparse_safetensors(folder / DIT_FILE, dit_shapes())
    assert length > 5_000_000_000
    torch.save(on_cpu(lq_shapes(4, 6)), folder / LQ_FILE)
    torch.save(torch.zeros(1, 4, 4096), folder / PROMPT_FILE)
    before = resident_bytes()
    assert check_files(folder) == ()
    assert resident_bytes() - before < 100_000_000
    with (folder / DIT_FILE).open("r+b") as stream:
        stream.truncate(length - 1)
    with pytest.raises(BadConfig, match="no complete safetensors file"):
        check_files(folder)


def on_cpu(shapes: Shapes) -> dict[str, Tensor]:
    return {key: torch.zeros(shape) for key, shape in shapes.items()}


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# Small folders on disk.


def test_a_folder_is_loaded(folder: Path, tiny: FlashVSR) -> None:
    loaded = load(folder)
    assert loaded.notes == ()
    assert check_files(folder) == ()
    ours, theirs = loaded.model.state_dict(), tiny.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    video = lq_video(2, 128, 128)
    frames = [
        torch.cat(list(Stream(plain_stages(model, StreamSpec(128, 128))).run(video.unbind(1))), dim=1)
        for model in (loaded.model, tiny)
    ]
    assert torch.equal(*frames)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_any_floating_point_format_is_converted(tmp_path: Path, dtype: torch.dtype) -> None:
    folder = write_folder(tmp_path / "weights", TINY, dtype)
    model = load_model(folder, "cpu", torch.bfloat16).model
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.bfloat16}
    assert model.dtype == torch.bfloat16


def test_a_model_does_not_live_in_its_files(folder: Path) -> None:
    model = load(folder).model
    before = model.dit.blocks[1].ffn[0].weight.clone()
    for name in REQUIRED_FILES:
        (folder / name).write_bytes(b"")  # would end the process if the tensors were still mapped
    assert torch.equal(model.dit.blocks[1].ffn[0].weight, before)


def test_the_prompt_may_lie_elsewhere(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "prompts" / "calm.pth"
    elsewhere.parent.mkdir()
    torch.save(torch.full((1, 3, 16), 0.5, dtype=torch.bfloat16), elsewhere)
    (folder / PROMPT_FILE).unlink()
    model = load_model(folder, "cpu", torch.float32, elsewhere).model
    assert torch.equal(model.prompt, torch.full((1, 3, 16), 0.5))
    assert check_files(folder, elsewhere) == ()
    torch.save(torch.zeros(1, 3, 17), elsewhere)
    with pytest.raises(BadConfig, match=rf"{elsewhere}: the prompt has shape \(1, 3, 17\), expected \(1, n, 16\)"):
        load_model(folder, "cpu", torch.float32, elsewhere)
    elsewhere.unlink()
    with pytest.raises(BadConfig, match=rf"{elsewhere}: there is no such prompt file; correct model.prompt"):
        load_model(folder, "cpu", torch.float32, elsewhere)
