"""What shells complete, and the page of the manual: as the arguments are declared, and as their readers take them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from flashvsr import cli
from flashvsr.commands.completion import FILES, FOLDER
from shell_files import MAN_PAGE, parsers, shell_files

BASH = """
source {file}
COMP_WORDS=({words}) COMP_CWORD={last}
_shtab_flashvsr
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def test_they_are_as_declared() -> None:
    """To renew them: python tests/generated.py."""
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == shell_files()


@pytest.mark.parametrize("shell", FILES)
def test_each_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    assert capsys.readouterr().out == (FOLDER / FILES[shell]).read_text()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("flashvsr sta", {"status"}),
        ("flashvsr status --a", {"--all"}),
        ("flashvsr weights ''", {"fetch", "verify"}),
        ("flashvsr completion z", {"zsh"}),
        ("flashvsr upscale --preset /etc/host", {"/etc/hosts", "/etc/hostname"}),
    ],
)
def test_bash_completes(words: str, completed: set[str]) -> None:
    script = BASH.format(file=FOLDER / FILES["bash"], words=words, last=len(words.split()) - 1)
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert found
    assert set(found) >= completed if "/" not in words else completed & set(found)
    assert all(word.startswith(words.split()[-1].strip("'")) for word in found)


@pytest.mark.parametrize("shell", [shell for shell in FILES if shell != "bash"])
def test_its_shell_takes_it(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    subprocess.run([shell, "-n", FOLDER / FILES[shell]], check=True)


def test_the_page_of_the_manual_has_each_command_and_option() -> None:
    page = (FOLDER / MAN_PAGE).read_text().replace("\\-", "-")
    for parser in parsers(cli._parser()):
        assert parser.prog in page
        for action in parser._actions:
            for name in action.option_strings:
                assert name in page, parser.prog
    for code in ("0", "1", "2", "78", "130"):
        assert f"\\fB{code}\\fR\n" in page
    for path in ("/etc/flashvsr/flashvsr.toml", "/srv/flashvsr/inbox", "/srv/flashvsr/outbox", "/var/lib/flashvsr"):
        assert f"\\fI{path}\\fR\n" in page


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff here")
def test_the_page_is_sound() -> None:
    made = subprocess.run(
        ["groff", "-ww", "-man", "-Tutf8", FOLDER / MAN_PAGE], capture_output=True, text=True, check=True
    )
    assert not made.stderr
    assert "flashvsr-demo" in made.stdout
