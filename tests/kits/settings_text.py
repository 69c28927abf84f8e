"""What the tests of settings share: load a text, and list what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashvsr.errors import BadConfig
from flashvsr.settings.config import Config, load_config


def load(folder: Path, text: str, **environ: str) -> Config:
    file = folder / "flashvsr.toml"
    file.write_text(text)
    return load_config(file, environ)


def problems(folder: Path, text: str, **environ: str) -> list[str]:
    """The problems of a text, without the folder's name."""
    with pytest.raises(BadConfig) as caught:
        load(folder, text, **environ)
    lines = str(caught.value).replace(f"{folder}/", "").splitlines()
    return [line.strip() for line in (lines[1:] if len(lines) > 1 else lines)]
