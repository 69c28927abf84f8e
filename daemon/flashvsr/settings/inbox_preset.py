"""The preset of an inbox, on a share: written where there is none, and what is wrong with it told beside it."""
# ruff: noqa: RUF001

from __future__ import annotations

import logging
from pathlib import Path

from flashvsr.errors import BadConfig
from flashvsr.files import marked
from flashvsr.files.advice import advice
from flashvsr.files.texts import write_new
from flashvsr.files.trees import Trees
from flashvsr.settings.preset import (
    PRESET_ERROR_NAME,
    PRESET_NAME,
    Preset,
    default_preset_text,
    is_missing,
    load_preset,
)

# For whoever knows the folder, and nothing else of the machine: plain words first, what was found below a line.
PRESET_TROUBLE = """\
Something in the preset.toml of this folder is wrong, so its videos wait. Nothing is lost.
Correct what is named below and save. The videos then start by themselves and this text disappears.
If you do not know how, delete preset.toml: a new one is written, which works.
这个文件夹里的 preset.toml 有错误，所以视频在等待，什么都没有丢。请改正下面指出的地方并保存，视频就会自动开始，\
这个文件也会消失。不会改就删除 preset.toml，会自动生成一个可用的。

---------- what was found / 具体问题 ----------
{message}
"""

log = logging.getLogger(__name__)


def write_default_preset(trees: Trees, path: Path, default_quality: int = 6) -> None:
    """Write a commented preset with every option; one that exists already stays untouched.

    Raises BadConfig if the folder is missing or cannot be written to.
    """
    try:
        write_new(trees, path, default_preset_text(default_quality))
    except FileNotFoundError as error:
        raise BadConfig(f"{path.parent}: the folder does not exist; is the share mounted?") from error
    except OSError as error:
        told = advice("write to", path.parent, error)
        raise BadConfig(
            f"{path}: there is no preset and none can be written here ({error.strerror}); put a {PRESET_NAME} "
            f"there, or {told}"
        ) from error


def check_inbox_preset(trees: Trees, inbox: Path, default_quality: int = 6) -> Preset:
    """Load the preset of an inbox, writing the default one first if there is none.

    Raises BadConfig after explaining the problems in PRESET_ERROR_NAME beside the preset; once the preset is
    right, that text is removed.
    """
    path = inbox / PRESET_NAME
    try:
        if is_missing(trees, path):
            write_default_preset(trees, path, default_quality)
        preset = load_preset(trees, path, default_quality)
    except BadConfig as error:
        raise BadConfig(*error.lines, *_explain(trees, inbox, str(error))) from error
    _withdraw(trees, inbox / PRESET_ERROR_NAME)
    return preset


def _explain(trees: Trees, inbox: Path, message: str) -> tuple[str, ...]:
    """Put the problems beside the preset, no person's text out of its place; return lines to add if that fails."""
    path = inbox / PRESET_ERROR_NAME
    text = PRESET_TROUBLE.format(message=message)
    try:
        marked.put(trees, path, text, PRESET_NAME)
    except FileNotFoundError:  # no inbox, so nobody to read it there; the message says so already
        return ()
    except OSError as error:
        return (f"(this could not be written to {path}: {error.strerror})",)
    return ()


def _withdraw(trees: Trees, path: Path) -> None:
    try:
        marked.withdraw(trees, path, PRESET_NAME)
    except OSError as error:
        log.warning("%s no longer applies but cannot be removed: %s", path, error.strerror)
