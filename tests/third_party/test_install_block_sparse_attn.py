"""The script that builds the extension: with the real git, and a Python and an nvcc that only take notes."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kits.paths import REPOSITORY

SCRIPT = REPOSITORY / "third_party" / "install_block_sparse_attn"
GIB = 1 << 20  # in the unit of /proc/meminfo

# Answers what the script asks, and notes how pip is called: arguments, variables, what lies in the folder.
PYTHON = """#!{python}
import json, os, sys
from pathlib import Path
here = Path({folder!r})
facts = json.loads((here / "facts.json").read_text())
if sys.argv[1] == "-c" and "block_sparse_attn" in sys.argv[2]:
    sys.exit(0 if (here / "importable").exists() else 1)
if sys.argv[1] == "-c":
    if facts is None:
        sys.exit("no module named torch")
    print(json.dumps(facts))
    sys.exit(0)
assert sys.argv[1:4] == ["-m", "pip", "install"], sys.argv
last = Path(sys.argv[-1])
files = sorted(str(file.relative_to(last)) for file in last.rglob("*.txt")) if last.is_dir() else []
with (here / "pip.jsonl").open("a") as notes:
    notes.write(json.dumps({{"arguments": sys.argv[4:], "environment": dict(os.environ), "files": files}}) + "\\n")
if last.is_dir() and not (here / "broken").exists():
    (here / "importable").touch()
sys.exit(1 if (here / "failing").exists() else 0)
"""


@dataclass
class Machine:
    """A machine with a fake Python and CUDA toolkit, and a repository."""

    folder: Path
    commit: str
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SCRIPT), "--python", str(self.folder / "bin" / "python"), *options]
        command += ["--source", f"file://{self.folder}/source", "--commit", self.commit]
        command += ["--meminfo", str(self.folder / "meminfo")]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def has(self, *, cuda: str | None = "13.0", toolkit: str = "13.0", gib: int = 24, gpus: object = ()) -> None:
        (self.folder / "facts.json").write_text(json.dumps({"cuda": cuda, "gpus": gpus}))
        (self.folder / "meminfo").write_text(f"MemTotal:       {gib * GIB} kB\nMemFree:        7 kB\n")
        program(
            self.folder / "cuda" / "bin" / "nvcc",
            f"#!/bin/sh\necho 'Cuda compilation tools, release {toolkit}, V{toolkit}.48'\n",
        )

    @property
    def pip_calls(self) -> list[dict[str, Any]]:
        notes = self.folder / "pip.jsonl"
        return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def git(folder: Path, *arguments: str) -> str:
    settings = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]
    done = subprocess.run(["git", *settings, "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def repository(folder: Path, *files: str) -> str:
    """A repository of one commit; returns its hash."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    for name in files:
        (folder / name).write_text(name)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    repository(tmp_path / "cutlass", "header.txt")
    repository(tmp_path / "source", "pinned.txt")
    git(tmp_path / "source", "submodule", "--quiet", "add", f"file://{tmp_path}/cutlass", "csrc/cutlass")
    git(tmp_path / "source", "commit", "--quiet", "--message", "second")
    commit = git(tmp_path / "source", "rev-parse", "HEAD")
    (tmp_path / "source" / "later.txt").write_text("newer than the pin")
    git(tmp_path / "source", "add", "--all")
    git(tmp_path / "source", "commit", "--quiet", "--message", "third")
    program(tmp_path / "bin" / "python", PYTHON.format(python=sys.executable, folder=str(tmp_path)))
    environment = {name: value for name, value in os.environ.items() if name not in ("MAX_JOBS", "NINJAFLAGS")}
    # Git takes submodules from other machines alone, unless told otherwise.
    environment |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}
    environment |= {"CUDA_HOME": str(tmp_path / "cuda")}
    made = Machine(tmp_path, commit, environment)
    made.has()
    return made


def test_it_builds_the_pinned_commit_with_its_submodule(machine: Machine) -> None:
    machine.has(gpus=[[8, 6], [9, 0], [8, 0]])
    done = machine.run()
    assert done.returncode == 0, done.stderr
    assert "is installed" in done.stdout
    tools, build = machine.pip_calls
    assert {"ninja", "packaging", "setuptools"} <= set(tools["arguments"])
    assert build["files"] == ["csrc/cutlass/header.txt", "pinned.txt"]
    assert {"--no-build-isolation", "--no-deps"} <= set(build["arguments"])
    environment = build["environment"]
    assert environment["MAX_JOBS"] == "6"
    assert environment["NINJAFLAGS"] == "-j 6"
    assert environment["CUDA_HOME"] == str(machine.folder / "cuda")
    assert environment["BLOCK_SPARSE_ATTN_FORCE_BUILD"] == "TRUE"
    assert environment["BLOCK_SPARSE_ATTN_CUDA_ARCHS"] == "80;90"
    assert environment["PATH"].startswith(str(machine.folder / "bin"))


def test_one_that_can_be_imported_is_left_alone_unless_forced(machine: Machine) -> None:
    (machine.folder / "importable").touch()
    (machine.folder / "cuda" / "bin" / "nvcc").unlink()  # not even looked at
    done = machine.run()
    assert done.returncode == 0
    assert "--force" in done.stdout
    assert machine.pip_calls == []
    machine.has()
    assert machine.run("--force").returncode == 0
    assert len(machine.pip_calls) == 2


def test_a_dry_run_tells_and_does_nothing(machine: Machine) -> None:
    done = machine.run("--dry-run")
    assert done.returncode == 0, done.stderr
    for text in (machine.commit, f"file://{machine.folder}/source", "MAX_JOBS=6", "pip install", "nothing was done"):
        assert text in done.stdout
    assert machine.pip_calls == []


def test_variables_that_are_set_are_kept(machine: Machine) -> None:
    machine.environment |= {"MAX_JOBS": "2", "BLOCK_SPARSE_ATTN_CUDA_ARCHS": "120"}
    machine.has(gpus=[[9, 0]])
    assert machine.run().returncode == 0
    environment = machine.pip_calls[-1]["environment"]
    assert (environment["MAX_JOBS"], environment["NINJAFLAGS"]) == ("2", "-j 2")
    assert environment["BLOCK_SPARSE_ATTN_CUDA_ARCHS"] == "120"
    machine.environment["NINJAFLAGS"] = "-j 5"
    assert machine.run("--force").returncode == 0
    assert machine.pip_calls[-1]["environment"]["NINJAFLAGS"] == "-j 5"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda m: m.has(toolkit="12.8"), ["version 12.8", "built for 13.0", "CUDA_HOME"]),
        (lambda m: m.has(cuda="13.1"), ["version 13.0", "built for 13.1"]),
        (lambda m: m.has(cuda=None), ["without CUDA"]),
        (lambda m: (m.folder / "facts.json").write_text("null"), ["no PyTorch", "--python"]),
        (lambda m: (m.folder / "cuda" / "bin" / "nvcc").unlink(), ["CUDA_HOME is", "bin/nvcc"]),
        (lambda m: program(m.folder / "cuda" / "bin" / "nvcc", "#!/bin/sh\nexit 1\n"), ["does not tell its version"]),
        (lambda m: (m.folder / "bin" / "python").chmod(0o644), ["cannot be run", "--python"]),
        (lambda m: setattr(m, "commit", "0" * 40), ["this failed: git", "fetch"]),
        (lambda m: (m.folder / "failing").touch(), ["this failed", "pip install"]),
        (lambda m: (m.folder / "broken").touch(), ["it was built, but", "import block_sparse_attn"]),
    ],
)
def test_what_is_in_the_way_is_said_plainly(
    machine: Machine, change: Callable[[Machine], object], parts: list[str]
) -> None:
    change(machine)
    done = machine.run()
    assert done.returncode == 1
    assert [part for part in parts if part not in done.stderr] == [], done.stderr
    assert "Traceback" not in done.stderr


def test_everything_missing_is_said_at_once(machine: Machine) -> None:
    (machine.folder / "facts.json").write_text("null")
    machine.environment |= {"PATH": str(machine.folder / "bin"), "CUDA_HOME": "/nowhere"}
    done = machine.run("--dry-run")
    assert done.returncode == 1
    assert all(part in done.stderr for part in ("git is missing", "no PyTorch", "CUDA_HOME is /nowhere"))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = SourceFileLoader("install_block_sparse_attn", str(SCRIPT))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    # Else a compiled copy would be left beside the script.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


@pytest.mark.parametrize(("gib", "jobs"), [(4, 3), (20, 3), (20.1, 6), (36, 6), (36.1, 8), (512, 8)])
def test_the_more_memory_the_more_compilers(script: ModuleType, tmp_path: Path, gib: float, jobs: int) -> None:
    (tmp_path / "meminfo").write_text(f"MemTotal:       {int(gib * GIB)} kB\n")
    assert script.jobs_for(script.memory_of(tmp_path / "meminfo")) == jobs


def test_nvcc_is_looked_for_where_pytorch_looks(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, on_path, usual = (tmp_path / name for name in ("named", "on_path", "usual"))
    monkeypatch.setattr(script, "USUAL_CUDA", usual)
    environment = {"PATH": str(on_path / "bin")}
    with pytest.raises(script.Refused, match="nvcc is missing; install"):
        script.cuda_home(environment)
    for home in (usual, on_path, named):
        program(home / "bin" / "nvcc", "")
    assert script.cuda_home({"PATH": str(tmp_path)}) == usual
    assert script.cuda_home(environment) == on_path
    assert script.cuda_home({**environment, "CUDA_PATH": str(named)}) == named
    assert script.cuda_home({**environment, "CUDA_PATH": str(named), "CUDA_HOME": str(usual)}) == usual


def test_the_pin_is_a_whole_hash(script: ModuleType) -> None:
    assert len(script.COMMIT) == 40
    assert int(script.COMMIT, 16)
