"""The texts for people name what is there: files, anchors, commands with their options, keys, folders of the code."""

from __future__ import annotations

import argparse
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import flashvsr
from flashvsr import cli
from flashvsr.inbox.rules import VIDEO_EXTENSIONS
from flashvsr.settings.config import TABLES
from flashvsr.settings.options import keys
from flashvsr.settings.preset import Preset
from flashvsr.settings.service_tables import ExtraInbox
from generated import DECLARED, README, tables_in, with_tables
from kits.paths import PACKAGE, REPOSITORY

ROOT = REPOSITORY
HIDDEN = (".venv", ".git", ".pytest_cache", ".mypy_cache", ".ruff_cache")
TEXTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if path.relative_to(ROOT).parts[0] not in HIDDEN and "site-packages" not in path.parts
)
EACH = pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)

ALL_TABLES = {**TABLES, "inbox": ExtraInbox}
ANY_KEY = {key for table in (*ALL_TABLES.values(), Preset) for key in keys(table)}
# What follows a dot in names of files, as opposed to keys of settings.
SUFFIXES = VIDEO_EXTENSIONS | {"py", "md", "toml", "txt", "json", "db", "png", "conf", "service", "dts", "srt"}
SUFFIXES |= {"safetensors"}
OF_OTHERS = {"fs.protected_hardlinks"}


class Text(NamedTuple):
    """A page without its code blocks, and these."""

    prose: str
    blocks: list[str]

    @property
    def spans(self) -> list[str]:
        return _SPAN.findall(self.prose)


def read(path: Path) -> Text:
    whole = path.read_text()
    return Text(_FENCE.sub("", whole), [block for language, block in _FENCE.findall(whole) if language != "ini"])


def anchors(path: Path) -> set[str]:
    """What GitHub makes of the headings of a page; one that comes again gets a number."""
    found: list[str] = []
    for heading in _HEADING.findall(_FENCE.sub("", path.read_text())):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.append(slug if slug not in found else f"{slug}-{sum(one.startswith(slug) for one in found)}")
    return set(found)


def commands(text: Text) -> Iterator[list[str]]:
    """The arguments of each `flashvsr …` in a page."""
    for span in text.spans:
        if re.match(r"(\S*/)?flashvsr .", span):
            yield _arguments(span)
    for block in text.blocks:
        for line in block.splitlines():
            for piece in re.split(r"&&|\|\||;|\|", line.partition(" #")[0]):
                words = piece.strip().removeprefix("runuser -u flashvsr -- ")
                if re.match(r"(\S*/)?flashvsr( |$)", words):
                    yield _arguments(words)


def _arguments(line: str) -> list[str]:
    """The words after the program; the brackets and dots of a description of usage are left out."""
    return shlex.split(re.sub(r"[\[\]…]", " ", line))[1:]


def not_known(arguments: list[str]) -> list[str]:
    """What of a command line the command does not know: a sub-command, or an option."""
    parser: argparse.ArgumentParser = cli._parser()
    wrong: list[str] = []
    for word in arguments:
        choices = _choices(parser)
        if word.startswith("-"):
            if word.partition("=")[0] not in parser._option_string_actions:
                wrong.append(word)
        elif choices:
            if word in choices:
                parser = choices[word]
            else:
                wrong.append(word)
    return wrong


def _choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The sub-commands that a parser has."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def wrong_key(span: str) -> bool:
    """Whether a code span names a key of the settings or of a preset, and there is none of that name."""
    dotted = re.fullmatch(r"([a-z_]+)\.([a-z_]+)", span.partition(" = ")[0])
    if dotted is not None:
        table, key = dotted.groups()
        known = table in ALL_TABLES and key in keys(ALL_TABLES[table])
        return not (known or key in SUFFIXES or span in OF_OTHERS)
    heading = re.fullmatch(r"\[{1,2}([a-z_]+)\]{1,2}", span)
    if heading is not None:
        return heading[1] not in ALL_TABLES
    assigned = re.match(r"([a-z_]+) ?= ?\S", span)
    return assigned is not None and assigned[1] not in ANY_KEY


def rows_below(path: Path, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, as cells; without the table's own head."""
    text = path.read_text()
    section = text[text.index(f"\n{heading}\n") :]
    lines = [line for line in re.split(r"\n#", section[2:])[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_pages_are_there() -> None:
    names = {str(path.relative_to(ROOT)) for path in TEXTS}
    pages = {
        f"{folder}README.md" for folder in ("", "config/", "systemd/", "daemon/", "tests/", "tests/bench/results/")
    }
    assert pages | {".github/CONTRIBUTING.md", "daemon/CHANGELOG.md"} <= names


@EACH
def test_links_lead_somewhere(path: Path) -> None:
    for link in _LINK.findall(read(path).prose):
        if re.match(r"https?:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@EACH
def test_commands_and_their_options_exist(path: Path) -> None:
    assert [arguments for arguments in commands(read(path)) if not_known(arguments)] == []


@EACH
def test_keys_exist(path: Path) -> None:
    assert [span for span in read(path).spans if wrong_key(span)] == []


def test_the_checks_find_what_is_wrong() -> None:
    text = Text(
        "`flashvsr staus` `flashvsr status --al` `flashvsr bench sped` `a/flashvsr check`",
        ["cd x && flashvsr rum # no\n"],
    )
    assert [not_known(arguments) for arguments in commands(text)] == [["staus"], ["--al"], ["sped"], [], ["rum"]]
    wrong = ("watch.settle", "wacth.observer", "widht = 0", "[wacth]", "[[inboxes]]")
    right = (
        "watch.observer",
        "width = 0",
        "fit=pad",
        "[watch]",
        "[[inbox]]",
        "queue.db",
        "clip.mov.error.txt",
        'model.precision = "fp8"',
    )
    assert [wrong_key(span) for span in wrong] == [True] * len(wrong)
    assert [wrong_key(span) for span in right] == [False] * len(right)


def test_the_first_page_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_the_first_page_has_the_two_commands() -> None:
    """`.ci/run` takes its line from between the markers."""
    text = (ROOT / "README.md").read_text()
    setup = "python3 -m venv .venv && .venv/bin/pip install -q -e"
    for name, line in (
        ("demo", f"{setup} . && .venv/bin/flashvsr demo"),
        ("tests", f"{setup} '.[test]' && .venv/bin/python -m pytest"),
    ):
        assert f"<!-- {name} -->\n```sh\n{line}\n```\n<!-- /{name} -->\n" in text


def test_the_tables_of_keys_are_those_declared() -> None:
    """To renew them: python tests/generated.py."""
    text = README.read_text()
    assert sorted(tables_in(text)) == sorted(DECLARED)
    assert text == with_tables(text)


def test_the_rooms_in_the_table_are_the_folders_of_the_package() -> None:
    named = {
        span for cells in rows_below(ROOT / "daemon" / "README.md", "## Rooms") for span in _SPAN.findall(cells[0])
    }
    there = {f"{path.name}/" for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert named == there | {path.name for path in PACKAGE.glob("*.py")}


@pytest.mark.parametrize("heading", ["## Rooms", "## To add something, start here"])
def test_paths_of_the_code_exist(heading: str) -> None:
    spans = [
        span
        for cells in rows_below(ROOT / "daemon" / "README.md", heading)
        for cell in cells
        for span in _SPAN.findall(cell)
    ]
    paths = [span for span in spans if re.fullmatch(r"[\w/.]+(/|\.py)", span)]
    bare = [path for path in paths if "/" not in path]  # told beside their room, such as `stream.py`
    assert len(paths) > 15
    missing = [path for path in paths if not (PACKAGE / path).exists() and not (ROOT / path).exists()]
    assert [path for path in missing if path not in bare or not list(PACKAGE.rglob(path))] == []


@EACH
def test_paths_of_the_repository_exist(path: Path) -> None:
    tops = r"(?:tests|config|systemd|daemon|third_party|\.ci|\.github)/"
    named = re.findall(rf"(?<![\w/.]){tops}[\w/.*\-]*[\w/]", "\n".join([*read(path).spans, *read(path).blocks]))
    assert [name for name in named if not (ROOT / name).exists() and not list(ROOT.glob(name))] == []


def test_the_kernels_of_attention_are_found() -> None:
    """From the first page to the line that multiplies queries by keys: page, room, chooser, kernel, line."""
    assert "(daemon/README.md)" in (ROOT / "README.md").read_text()
    (row,) = (line for line in (ROOT / "daemon" / "README.md").read_text().splitlines() if "attention_kernels" in line)
    chooser = PACKAGE / "kernels" / "gpu" / "attention_kernels.py"
    assert row.startswith("| `kernels/` |")
    for name, product in (("block_sparse_attention", "tl.dot(q, k.T)"), ("hopper_attention", "warpgroup_mma(own, k.")):
        assert f"`{name}`" in row
        assert f" {name}.block_sparse_attention\n" in chooser.read_text()
        assert f"scores = {product}" in chooser.with_name(f"{name}.py").read_text()


def test_there_is_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "flashvsr.system.version.VERSION"}
    newest = re.search(r"^## (\S+?)(,|$)", (ROOT / "daemon" / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == flashvsr.__version__
