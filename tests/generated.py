"""The files that are made from the declarations of the options: `python tests/generated.py` writes all of them.

These are config/flashvsr.toml, the presets in config/presets, what shells and `man` know of the command (see
`shell_files`), and the tables of config/README.md. There, between
`<!-- keys:watch -->` and `<!-- /keys:watch -->` lies the table of [watch], between those of `keys:preset` that of
preset.toml. Tests fail where a file is not what is declared.
"""

from __future__ import annotations

import re
from dataclasses import MISSING
from pathlib import Path

from flashvsr.files.trees import NO_LINKS
from flashvsr.settings.config import TABLES
from flashvsr.settings.kinds import toml_value
from flashvsr.settings.options import Option, comment_block, options, render
from flashvsr.settings.preset import Preset, default_preset_text, load_preset, preset_text
from flashvsr.settings.service_tables import ExtraInbox

CONFIG = Path(__file__).parents[1] / "config"
README = CONFIG / "README.md"
DECLARED: dict[str, type] = {"preset": Preset, **TABLES, "inbox": ExtraInbox}
_SECTION = re.compile(r"(<!-- keys:(\w+) -->\n)(.*?)(<!-- /keys:\2 -->)", re.DOTALL)


def default_config_text() -> str:
    """The whole of flashvsr.toml with its comments and defaults, as shipped in config/."""
    text = comment_block(
        "Settings of the flashvsr service. Every option is shown with its default; delete what you do not "
        "change. Relative paths start at the folder of this file, ~ is the home directory. An environment "
        "variable named in a comment overrides the option. `flashvsr check` reads this file and says what is "
        "wrong with it."
    )
    for name, table in TABLES.items():
        text += f"\n\n[{name}]\n{render(table)}"
    text += "\n\n" + comment_block("Further inboxes anywhere, each with an outbox of its own. Repeat for more.")
    example = ExtraInbox(Path("/mnt/nas/restore"), Path("/mnt/nas/restored"))
    return f"{text}# [[inbox]]\n{render(ExtraInbox, example, prefix='# ')}"


def with_tables(text: str) -> str:
    """The text with each table as it is declared. KeyError for one of a name that nothing has."""
    return _SECTION.sub(lambda found: found[1] + _table(DECLARED[found[2]]) + found[4], text)


def tables_in(text: str) -> list[str]:
    """The names of the tables in a text."""
    return [found[2] for found in _SECTION.finditer(text)]


def _table(declared: type) -> str:
    """One row for each option."""
    rows = (
        f"| `{item.key}` | {_default(item)} | {_escaped(item.kind.allowed)} | {_meaning(item)} |\n"
        for item in options(declared)
    )
    return f"| key | default | allowed | meaning |\n|---|---|---|---|\n{''.join(rows)}"


def _default(item: Option) -> str:
    return "" if item.default is MISSING else f"`{toml_value(item.default if item.default is not None else '')}`"


def _meaning(item: Option) -> str:
    variable = f" Variable: `{item.env}`." if item.env else ""
    return _escaped(item.help) + variable


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _renew_preset(path: Path) -> None:
    """Write a preset with its own heading and values, and the comments as they are declared."""
    heading = path.read_text().partition("\n\n")[0]
    path.write_text(preset_text(load_preset(NO_LINKS, path), heading.replace("# ", "").replace("\n", " ")))


def main() -> None:
    (CONFIG / "flashvsr.toml").write_text(default_config_text())
    (CONFIG / "presets" / "default.toml").write_text(default_preset_text())
    for path in (CONFIG / "presets").glob("*.toml"):
        _renew_preset(path)
    README.write_text(with_tables(README.read_text()))
    import shell_files  # needs shtab, which whoever only compares the others may lack

    shell_files.renew()


if __name__ == "__main__":
    main()
