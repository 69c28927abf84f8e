from __future__ import annotations

from collections.abc import Iterator

import pytest

from kits.installed import UNIT, Installed, binds, install, prepare_environment
from kits.systemd_box import Box, BoxUnavailable


@pytest.fixture(scope="session")
def box() -> Iterator[Box]:
    """One running systemd for all tests."""
    try:
        box = Box(binds())
    except BoxUnavailable as error:
        pytest.skip(str(error))
    try:
        yield box
    finally:
        box.stop()


@pytest.fixture
def service(box: Box) -> Installed:
    installed = Installed(box)
    if not installed.exists(UNIT):
        prepare_environment(box)
        install(box)
    installed.reset()
    return installed
