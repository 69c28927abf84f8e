from __future__ import annotations

from collections.abc import Iterator

import pytest

from kits.receiver import Receiver, receivers


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    yield from receivers()
