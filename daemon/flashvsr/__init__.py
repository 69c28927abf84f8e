"""flashvsr: video super-resolution with FlashVSR v1.1, as a watch-folder service and as a library.

>>> from flashvsr import upscale
>>> report = upscale("in.mov", "out.mp4", scale=2)  # doctest: +SKIP

See `upscale`, and `Upscaler` for many files. Errors are those of `flashvsr.errors`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from flashvsr.system.version import VERSION as __version__

if TYPE_CHECKING:
    from flashvsr.settings.preset import Preset
    from flashvsr.upscaling.library import Upscaler, upscale
    from flashvsr.upscaling.report import Report

__all__ = ["Preset", "Report", "Upscaler", "__version__", "upscale"]

_HOMES = {
    "Preset": "flashvsr.settings.preset",
    "Report": "flashvsr.upscaling.report",
    "Upscaler": "flashvsr.upscaling.library",
    "upscale": "flashvsr.upscaling.library",
}


def __getattr__(name: str) -> object:
    """Import what the library offers when it is asked for: the service and its commands start without it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
