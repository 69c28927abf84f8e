"""flashvsr.toml and the environment: what is accepted, what each problem says, what is shipped in config/."""

from __future__ import annotations

import ast
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flashvsr.errors import BadConfig
from flashvsr.settings.config import TABLES, Config, InboxDir, load_config
from flashvsr.settings.crosscheck import NOT_YET
from flashvsr.settings.kinds import OneOf
from flashvsr.settings.options import options
from flashvsr.settings.preset import Preset
from flashvsr.settings.service_tables import ExtraInbox
from flashvsr.system.text import printable
from kits.paths import PACKAGE
from kits.settings_text import load, problems


def test_without_a_file_everything_has_its_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("flashvsr.settings.config.DEFAULT_CONFIG_PATH", tmp_path / "none.toml")
    assert load_config(None, {}) == Config()
    assert Config().paths.state == Path("/var/lib/flashvsr")
    assert (Config().streaming.prefetch_frames, Config().chunks.size, Config().export.quality) == (25, 240, 6)


def test_the_default_file_is_read_if_it_exists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "etc.toml"
    file.write_text("[queue]\nmax_attempts = 7\n")
    monkeypatch.setattr("flashvsr.settings.config.DEFAULT_CONFIG_PATH", file)
    config = load_config(None, {})
    assert (config.queue.max_attempts, config.origin) == (7, file)


def test_flashvsr_config_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "named.toml"
    file.write_text("[queue]\nmax_attempts = 5\n")
    assert load_config(None, {"FLASHVSR_CONFIG": str(file)}).queue.max_attempts == 5
    with pytest.raises(BadConfig, match=r"other\.toml: there is no such file"):
        load_config(None, {"FLASHVSR_CONFIG": str(tmp_path / "other.toml")})


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="there is no such file"):
        load_config(tmp_path / "flashvsr.toml", {})


def test_all_values_of_a_full_file(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        [paths]
        inbox = "in"              # relative: starts at this file's folder
        outbox = "../out"
        state = "~/state"
        [watch]
        poll_seconds = 1
        settle_seconds = 0.5
        [gpu]
        devices = [1, "GPU-0a1b"]
        [model]
        weights = "./folder"
        prompt = "prompt.pth"
        [streaming]
        lq_max_bytes = "512MB"
        [[inbox]]
        path = "/mnt/nas/restore"
        outbox = "/mnt/nas/restored"
        """,
    )
    assert config.paths.inbox == tmp_path / "in"
    assert config.paths.outbox == tmp_path.parent / "out"
    assert config.paths.state == Path.home() / "state"
    assert isinstance(config.watch.poll_seconds, float)
    assert config.gpu.devices == (1, "GPU-0a1b")
    assert config.model.weights == str(tmp_path / "folder")
    assert config.model.prompt == tmp_path / "prompt.pth"
    assert config.streaming.lq_max_bytes == 512 * 2**20
    assert config.extra_inboxes == (ExtraInbox(Path("/mnt/nas/restore"), Path("/mnt/nas/restored")),)
    assert config.origin == tmp_path / "flashvsr.toml"
    assert pickle.loads(pickle.dumps(config)) == config


def test_every_problem_is_reported_at_once_with_line_key_value_and_range(tmp_path: Path) -> None:
    text = """[watch]
poll_seconds = true
observer = "inotfy"
[gpu]
max_concurrent = 1.0
[retention]
days = "30"
[paths]
inbox = 3
"""
    assert problems(tmp_path, text, FLASHVSR_VERSION="v1") == [
        "flashvsr.toml:2: watch.poll_seconds = true: expected a number from 0.05 to 86400",
        'flashvsr.toml:3: watch.observer = "inotfy": expected "auto", "inotify" or "poll"; did you mean "inotify"?',
        "flashvsr.toml:5: gpu.max_concurrent = 1.0: expected a whole number from 0 to 1024",
        'flashvsr.toml:7: retention.days = "30": expected a whole number from 0 to 36500; '
        "write the number without quotes",
        "flashvsr.toml:9: paths.inbox = 3: expected a path in quotes",
        'environment variable FLASHVSR_VERSION = "v1": expected "v1.1"',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[wotch]\na = 1", '1: wotch: unknown table; did you mean "watch"?'),
        ("[watch]\n\npol_seconds = 1", '3: watch.pol_seconds: unknown key; did you mean "poll_seconds"?'),
        ("[watch]\nxyz = 1", "known here: observer, poll_seconds, settle_seconds, on_success"),
        ("settle_seconds = 5", "1: settle_seconds: belongs below the line [watch]"),
        ("watch = 3", "1: watch = 3: expected a table"),
        ("[inbox]\npath = 'a'", "1: inbox: write [[inbox]] with two brackets"),
        ("[[inbox]]\npath = '/a'", "1: inbox[1]: outbox is missing"),
        (
            "[[inbox]]\npath='/a'\noutbox='/b'\n[[inbox]]\npath='/c'\noutbox=''",
            '6: inbox[2].outbox = "": expected',
        ),
        ("inbox = [3]", "1: inbox[1] = 3: expected a table"),
        ("[gpu]\ndevices = []", "2: gpu.devices = []: expected"),
        ("[gpu]\ndevices = [0, 0]", "each GPU once"),
        ("[gpu]\ndevices = [true]", "2: gpu.devices = [true]: expected"),
        ("[gpu]\ndevices = 'gpu0'", '2: gpu.devices = "gpu0": expected'),
        ("[model]\nweights = 'nanoo'", 'did you mean "nano"?'),
        ("[model]\nweights = 'mine'", 'write "./mine"'),
        ("[model]\nversion = 'v2'", 'model.version = "v2": expected "v1.1"'),
        ("[streaming]\nlq_max_bytes = '5 parsecs'", '"512MB"'),
        ("[streaming]\nlq_max_bytes = -1", "2: streaming.lq_max_bytes = -1: expected"),
        ("[watch]\npoll_seconds = nan", "2: watch.poll_seconds = nan: expected"),
        ("[paths]\nstate = '~nobody-of-that-name/x'", "~nobody-of-that-name names no home directory"),
        ("[paths]\nstate = 'a\\u0000b'".replace("'", '"'), "2: paths.state"),
        ("[chunks]\nsize = 1979-05-27", "2: chunks.size = 1979-05-27: expected a whole number"),
        ("[chunks]\nsize = 0x" + "f" * 9999, "a very large number: expected a whole number"),
        (
            "[watch]\nobserver = poll",
            '2: not valid TOML: Invalid value in "observer = poll"; text needs quotes',
        ),
        ("[watch]\n[gpu]\n[watch]", "3: not valid TOML: Cannot declare"),
        ("[watch", "1: not valid TOML"),
        ("a = " + "9" * 9999, "not valid TOML"),
        ("a = " + "[" * 9999, "nested too deeply"),
    ],
)
def test_what_a_problem_says(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.startswith("flashvsr.toml:")
    assert expected in problem


def test_values_are_shown_shortened(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, f"[watch]\nobserver = '{'x' * 5000}'")
    assert len(problem) < 250


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("devices", "[0, 1]"),
        ("split_block", "1"),
        ("split_block", "12"),
        ("overlap", "true"),
        ("overlap_mode", '"aggressive"'),
    ],
)
def test_features_to_come_are_refused_and_to_be_taken_out(tmp_path: Path, key: str, value: str) -> None:
    assert problems(tmp_path, f"[pipeline]\n{key} = {value}") == [
        f"flashvsr.toml:2: pipeline.{key} = {value}: does not work yet in this version; take it out: "
        "each video runs on one GPU"
    ]


def test_each_feature_to_come_is_refused_by_itself(tmp_path: Path) -> None:
    text = "[pipeline]\ndevices = [0, 1]\nsplit_block = 12\noverlap = true\noverlap_mode = 'aggressive'"
    found = problems(tmp_path, text)
    assert [re.match(r"flashvsr\.toml:(\d): pipeline\.(\w+) = ", line).groups() for line in found] == [
        (str(line), item.key) for line, item in enumerate(NOT_YET, 2)
    ]


def test_the_defaults_of_features_to_come_ask_for_nothing(tmp_path: Path) -> None:
    text = "[pipeline]\ndevices = []\nsplit_block = 'auto'\noverlap = false\noverlap_mode = 'basic'"
    assert load(tmp_path, text).pipeline == Config().pipeline


@pytest.fixture(scope="module")
def read() -> frozenset[str]:
    """The attributes that the package reads."""
    return frozenset(
        node.attr
        for path in PACKAGE.rglob("*.py")
        if "settings" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    )


def test_an_option_that_nothing_reads_is_refused_or_has_no_choice(read: frozenset[str]) -> None:
    """A key that is accepted and does nothing is a promise not kept. An attribute's name is all that is looked at."""
    for name, table in [*TABLES.items(), ("preset", Preset)]:
        to_come = {item.key for item in NOT_YET if item.table == name}
        for item in options(table):
            no_choice = isinstance(item.kind, OneOf) and item.kind.words == (item.default,)
            assert item.key in read or item.key in to_come or no_choice, f"{name}.{item.key}"


@pytest.mark.parametrize(
    ("paths", "extra", "expected"),
    [
        ({"inbox": "in", "outbox": "in/out"}, (), "paths.outbox = .* must not lie inside .*paths.inbox"),
        ({"inbox": "out/in", "outbox": "out"}, (), "paths.inbox = .* must not lie inside .*paths.outbox"),
        ({"inbox": "same", "outbox": "same"}, (), "must not be the same folder as"),
        ({"inbox": "in", "outbox": "in/../in/x"}, (), "must not lie inside"),
        ({"inbox": "in", "state": "in/state"}, (), "paths.state = .* must not lie inside"),
        ({"inbox": "in", "models": "in/models"}, (), "paths.models = .* must not lie inside"),
        ({"inbox": "in", "archive": "in/old"}, (), "paths.archive = .* must not lie inside .*taken for"),
        ({"inbox": "old/in", "archive": "old"}, (), "paths.inbox = .* must not lie inside .*archived videos would be"),
        ({"archive": "old"}, (("old/x", "o"),), r"inbox\[1\].path = .* must not lie inside .*paths.archive"),
        ({"inbox": "in"}, (("in/sub", "o"),), r"inbox\[1\].path = .* must not lie inside .*paths.inbox"),
        ({"inbox": "a/in"}, (("a", "o"),), r"paths.inbox = .* must not lie inside .*inbox\[1\].path"),
        ({"outbox": "out"}, (("out/x", "o"),), r"inbox\[1\].path = .* must not lie inside .*paths.outbox"),
        ({}, (("x", "x/o"),), r"inbox\[1\].outbox = .* must not lie inside .*inbox\[1\].path"),
        ({}, (("x", "o"), ("x", "o")), r"inbox\[2\].path = .* must not be the same folder as"),
        ({"inbox": "in"}, (("x", "in/o"),), r"inbox\[1\].outbox = .* must not lie inside .*paths.inbox"),
    ],
)
def test_folders_must_not_feed_each_other(
    tmp_path: Path, paths: dict[str, str], extra: tuple[tuple[str, str], ...], expected: str
) -> None:
    text = "[paths]\n" + "".join(f'{key} = "{value}"\n' for key, value in paths.items())
    text += "".join(f'[[inbox]]\npath = "{path}"\noutbox = "{outbox}"\n' for path, outbox in extra)
    (problem,) = problems(tmp_path, text)
    assert re.search(expected, problem)


def test_a_linked_outbox_inside_the_inbox_is_found(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "in")
    (problem,) = problems(tmp_path, '[paths]\ninbox = "in"\noutbox = "out/results"\n')
    assert "must not lie inside" in problem


def test_a_refused_folder_does_not_bring_its_default_into_the_comparison(tmp_path: Path) -> None:
    text = '[paths]\ninbox = 3\n[[inbox]]\npath = "/srv/flashvsr/inbox/x"\noutbox = "/o"\n'
    assert problems(tmp_path, text) == ["flashvsr.toml:2: paths.inbox = 3: expected a path in quotes"]


def test_a_name_that_only_begins_the_same_is_no_nesting(tmp_path: Path) -> None:
    assert load(tmp_path, '[paths]\ninbox = "in"\noutbox = "in-out"\nstate = "."\n').paths.state == tmp_path


def test_inboxes_are_read_from_disk_each_time(tmp_path: Path) -> None:
    text = '[paths]\ninbox = "in"\noutbox = "out"\n[[inbox]]\npath = "extra"\noutbox = "done"\n'
    config = load(tmp_path, text)
    extra = InboxDir(tmp_path / "extra", tmp_path / "done", "extra")
    assert config.inboxes() == (extra,)
    for name in ("b", "a", ".hidden", "@eaDir", "#recycle", "lost+found"):
        (tmp_path / "in" / name).mkdir(parents=True)
    (tmp_path / "in" / "film.mp4").touch()
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    names = [InboxDir(tmp_path / "in" / name, tmp_path / "out" / name, name) for name in ("a", "b")]
    assert config.inboxes() == (*names, extra)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "extra").exists()


def test_a_key_in_an_inline_table_has_the_line_of_the_table(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "\n\nwatch = { poll_seconds = 0 }")
    assert problem.startswith("flashvsr.toml:3: watch.poll_seconds = 0: expected")


def test_settings_load_without_the_heavy_libraries() -> None:
    code = (
        "import sys, flashvsr.settings.config, flashvsr.settings.preset, flashvsr.system.devices\n"
        "heavy = {'torch', 'av', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    environ = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr


def test_a_path_that_is_no_text_is_written_as_messages_show_it(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9 \\ \n\xff")
    config = load(tmp_path, f"[paths]\ninbox = {{escaped = '{printable(path)}'}}\noutbox = {{escaped = 'r\\xe9s'}}\n")
    assert config.paths.inbox == path
    assert config.paths.outbox == tmp_path / os.fsdecode(b"r\xe9s")


@pytest.mark.parametrize(
    "value", ["{escaped = 'a\\q'}", "{escaped = 'a\\x00'}", "{escaped = 1}", "{escaped = ''}", "{escaped = 'a', b = 1}"]
)
def test_a_wrongly_escaped_path_is_refused(tmp_path: Path, value: str) -> None:
    (line,) = problems(tmp_path, f"[paths]\ninbox = {value}\n")
    assert "flashvsr.toml:2: paths.inbox = {escaped = " in line
    assert "expected a path in quotes" in line
