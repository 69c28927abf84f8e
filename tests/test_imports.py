"""Who may import whom. The service process stays light, and the model knows no video."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import flashvsr

ROOT = Path(flashvsr.__file__).parent
HEAVY = frozenset(
    {"torch", "av", "numpy", "einops", "safetensors", "triton", "modelscope", "modelscope_hub", "pyanime4k"}
)
MODULES = sorted(ROOT.rglob("*.py"))

# Part -> the parts of the package it may import, and the heavy packages. Most other parts are those of the
# service process: they import each other, and nothing heavy.
LAYERS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "model": (frozenset({"errors", "kernels", "model"}), frozenset({"torch", "einops", "safetensors"})),
    "kernels": (frozenset({"kernels"}), frozenset({"torch", "triton"})),
    # `text`: what a video says of itself is bounded where it enters, and names are made visible where they are quoted.
    "video": (frozenset({"errors", "text", "preset", "files", "video"}), frozenset({"av", "numpy"})),
    "bench": (
        frozenset({"errors", "text", "preset", "model", "video", "worker", "bench"}),
        frozenset({"torch", "av", "numpy", "pyanime4k"}),
    ),
}
# Of the product, one module joins video and model. What measures it looks at both, but has its frames from there.
# The check asks every part about itself.
JOINTS = frozenset({"worker/upscale.py", "bench/quality.py", "commands/check.py"})
BENCH_USERS = frozenset({"bench", "commands", "training"})
OF_WORKERS = frozenset({"model", "kernels", "video", "worker", "bench", "training", "modelscope_child"})
LIGHT_EXCEPTIONS = {("weights", "model.files")}  # names of files, without torch
# A worker looks for a renamed file where the watcher would, and under names that the watcher takes.
WORKER_EXCEPTIONS = frozenset({"inbox.rules", "inbox.scan"})
LAZY = frozenset({"cli", "commands", "weights", "worker"})  # may import heavy parts inside functions
NEVER_IMPORTED = frozenset({"training", "modelscope_child"})
QUEUE_FREE = {"jobs": {"errors", "jobs"}, "outbox": {"errors", "outbox"}}  # besides helpers at the top level
FOUNDATION = frozenset(
    {"errors", "text", "report_text", "fstype", "settings", "logs", "mounts", "space", "files", "system"}
)


@dataclass(frozen=True)
class Import:
    """One imported module: where, whether inside a function, and its dotted name ("flashvsr.model.dit")."""

    file: Path
    line: int
    lazy: bool
    name: str

    @property
    def part(self) -> str:
        """The importing part: first component of the module's path below the package."""
        return part_of(self.file)

    @property
    def target(self) -> str:
        """The imported part of the package, or "" for another package."""
        package, _, rest = self.name.partition(".")
        return rest.partition(".")[0] if package == "flashvsr" else ""

    def __str__(self) -> str:
        place = f"{self.file.relative_to(ROOT.parent)}:{self.line}"
        return f"{place} imports {self.name}{' lazily' if self.lazy else ''}"


def part_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(file: Path, source: str | None = None) -> Iterator[Import]:
    """All imports of a module, those for type checkers alone left out."""
    tree = ast.parse(file.read_text(encoding="utf-8") if source is None else source)

    def walk(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(file, child.lineno, lazy, alias.name) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                yield from (Import(file, child.lineno, lazy, name) for name in from_names(file, child))
            elif not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)):
                yield from walk(child, lazy or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))

    yield from walk(tree, False)


def from_names(file: Path, node: ast.ImportFrom) -> Iterator[str]:
    """`from a import b` may mean the module a.b: both `a` and, where it is a module of ours, `a.b`."""
    base = node.module or ""
    if node.level:
        package = file.relative_to(ROOT.parent).with_suffix("").parts[: -node.level]
        base = ".".join([*package, *([base] if base else [])])
    names = [f"{base}.{alias.name}" for alias in node.names]
    modules = [name for name in names if is_module(name)]
    yield from modules
    if len(modules) < len(names):
        yield base


def is_module(name: str) -> bool:
    path = ROOT.parent.joinpath(*name.split("."))
    return name.startswith("flashvsr.") and (path.is_dir() or path.with_suffix(".py").is_file())


def forbidden(found: Import) -> str | None:
    """Why an import is not allowed, if it is not."""
    part, target, package = found.part, found.target, found.name.partition(".")[0]
    if target in NEVER_IMPORTED and target != part:
        return f"nothing imports {target}"
    if target == "bench" and part not in BENCH_USERS:
        return "the product does not know what measures it"
    if target == "kernels" and part not in ("kernels", "model"):
        return "only the model uses kernels"
    if part == "kernels" and found.file.parent.name != "gpu" and (package == "triton" or ".kernels.gpu" in found.name):
        return "the plain forms run where Triton is not"
    if part in LAYERS:
        parts, packages = LAYERS[part]
        if package == "flashvsr" and target not in parts | {""}:
            return f"{part} may import only {', '.join(sorted(parts))}"
        if package in HEAVY - packages:
            return f"{part} may not use {package}"
        if package not in HEAVY | {"flashvsr"} and package not in sys.stdlib_module_names:
            return f"{part} may not use {package}"
        return None
    if part in ("worker", "training", "modelscope_child"):
        known = found.name.removeprefix("flashvsr.") in WORKER_EXCEPTIONS
        if part == "worker" and target in ("supervisor", "inbox", "cli", "commands") and not known:
            return f"a worker does not know {target}"
        return None
    heavy = package in HEAVY or (target in OF_WORKERS and target != part)
    if heavy and (part, found.name.removeprefix("flashvsr.")) not in LIGHT_EXCEPTIONS:
        if part in LAZY and found.lazy:
            return None
        return f"{part} belongs to the service process, which stays light"
    if part in QUEUE_FREE and target and target not in QUEUE_FREE[part] | FOUNDATION:
        return f"{part} may import only {', '.join(sorted(QUEUE_FREE[part]))}"
    return None


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_forbidden_import(file: Path) -> None:
    problems = [f"{found}: {why}" for found in imports_of(file) if (why := forbidden(found))]
    assert not problems, "\n".join(problems)


def test_video_and_model_meet_in_few_places() -> None:
    joining = {
        str(file.relative_to(ROOT))
        for file in MODULES
        if part_of(file) != "training" and {"model", "video"} <= {found.target for found in imports_of(file)}
    }
    assert joining == JOINTS


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("model/dit.py", "from flashvsr.video.probe import probe"),
        ("model/dit.py", "import numpy as np"),
        ("model/dit.py", "from ..preset import Preset"),
        ("model/dit.py", "import requests"),
        ("kernels/x.py", "from flashvsr.model import dit"),
        ("kernels/x.py", "import triton"),
        ("kernels/x.py", "def f():\n    from flashvsr.kernels.gpu import select_blocks"),
        ("kernels/gpu/x.py", "from flashvsr.model.rope import HEAD_DIM"),
        ("worker/engine.py", "from flashvsr.kernels.rms_norm import rms_norm"),
        ("video/mux.py", "def f():\n    import torch"),
        ("video/mux.py", "from flashvsr import config"),
        ("supervisor.py", "import torch"),
        ("supervisor.py", "def f():\n    from flashvsr.model.stream import Stream"),
        ("supervisor.py", "from flashvsr.worker.loop import WorkerLoop"),
        ("preset.py", "if True:\n    import av"),
        ("jobs/queue.py", "from flashvsr.config import Config"),
        ("outbox/publish.py", "try:\n    import numpy\nexcept ImportError:\n    raise"),
        ("cli.py", "from flashvsr.worker import upscale"),
        ("worker/loop.py", "from flashvsr import supervisor"),
        ("worker/loop.py", "from flashvsr.training.nano import train"),
        ("weights.py", "from flashvsr.model.weights import load_model"),
        ("inbox/watch.py", "async def f():\n    import av"),
        ("worker/loop.py", "def f():\n    from flashvsr.bench.quality import measure"),
        ("commands/bench.py", "from flashvsr.bench import report"),
        ("bench/quality.py", "from flashvsr.training.data import shrink"),
        ("bench/quality.py", "from flashvsr.jobs.queue import Queue"),
        ("bench/report.py", "import skimage"),
    ],
)
def test_a_forbidden_import_is_found(file: str, source: str) -> None:
    assert [found for found in imports_of(ROOT / file, source) if forbidden(found)]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (
            "model/dit.py",
            "import math\nfrom flashvsr.kernels.block_sparse_attention import block_sparse_attention",
        ),
        ("kernels/gpu/x.py", "import triton\nfrom flashvsr.kernels.rotate_blocks import Ring"),
        ("model/attention.py", "def f():\n    from flashvsr.kernels.gpu.rms_norm import rms_norm"),
        ("commands/upscale.py", "def f():\n    from flashvsr.worker import upscale"),
        ("supervisor.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("weights.py", "from flashvsr.model.files import REQUIRED_FILES"),
        ("commands/bench.py", "def f():\n    from flashvsr.bench import report"),
        ("training/data.py", "from flashvsr.bench.shrink import shrink"),
        ("bench/enlargers.py", "def f():\n    import pyanime4k"),
        ("worker/engine.py", "import torch\nfrom flashvsr.model.stream import Stream"),
    ],
)
def test_an_allowed_import_is_not(file: str, source: str) -> None:
    assert not [found for found in imports_of(ROOT / file, source) if forbidden(found)]


def test_the_service_process_stays_light() -> None:
    """Whatever the walk may miss: a fresh process that has all of the service's modules has nothing heavy."""
    light = [
        ".".join(file.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
        for file in MODULES
        if part_of(file) not in OF_WORKERS | {"__main__", "commands"} and file.name != "__main__.py"
    ]
    assert {"flashvsr.supervisor", "flashvsr.cli", "flashvsr.config", "flashvsr.weights"} <= set(light)
    code = f"import sys; import {', '.join(light)}; print(sorted({set(HEAVY)!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
