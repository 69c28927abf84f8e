from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kits.paths import CLIPS
from kits.real_service import RealService


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[Callable[..., RealService]]:
    services: list[RealService] = []

    def make(**options: Any) -> RealService:
        services.append(RealService(tmp_path / f"service{len(services)}", **options))
        return services[-1]

    yield make
    for service in services:
        service.close()


@pytest.fixture
def clips() -> Path:
    return CLIPS
