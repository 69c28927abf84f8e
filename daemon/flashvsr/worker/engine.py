"""The loaded model on this worker's device."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from flashvsr import weights
from flashvsr.config import Config
from flashvsr.model.network import FlashVSR
from flashvsr.model.slim import slim
from flashvsr.model.stream import Stream, StreamOptions
from flashvsr.model.weights import load_model
from flashvsr.worker.memory import keep_freed_memory

log = logging.getLogger(__name__)

LEAST_CAPABILITY = (8, 0)  # GPUs that compute in bfloat16


class FrameStream(Protocol):
    """One video on its way through a model."""

    def run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Frames (3, H, W) in [-1, 1] in, as many out, in batches (3, n, H, W) in [-1, 1]."""


class AnyEngine(Protocol):
    """What the work on a file needs of an engine; a test may put one without a model here."""

    @property
    def name(self) -> str:
        """What results call the model."""

    @property
    def label(self) -> str:
        """Its device, for people."""

    @property
    def identity(self) -> str:
        """Equal for engines whose frames may be joined in one video."""

    @property
    def device(self) -> torch.device:
        """Where it wants its frames."""

    def stream(self, size: tuple[int, int], options: StreamOptions, origin: int) -> FrameStream:
        """Start a video of `size` (width, height); `origin`: windows of it that lie before the first frame."""


@dataclass(frozen=True)
class Engine:
    """A model that is ready to work. `name` is what results call it, `label` the device for people.

    `offload_cache`: whether its attention caches live in host memory.
    """

    model: FlashVSR
    name: str
    label: str
    offload_cache: bool = False

    @property
    def identity(self) -> str:
        """Equal for engines whose frames may be joined in one video."""
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        return f"{self.name} {parameters} {self.model.dtype}"

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.model.device

    def stream(self, size: tuple[int, int], options: StreamOptions, origin: int) -> FrameStream:
        """See `AnyEngine`."""
        return Stream(self.model, size[1], size[0], options, origin, self.offload_cache)


def load_engine(config: Config, on_message: Callable[[str], None], dtype: torch.dtype | None = None) -> Engine:
    """Load the configured weights onto this process's GPU, or the CPU where it sees none.

    Official weights that are not there yet are fetched first; `on_message` hears how that goes, and may raise.
    `dtype`: the number format to compute in, by default bfloat16 on GPUs that can, else float32.

    Raises:
        BadConfig: the weights are incomplete, damaged or foreign.
        Transient: they could not be fetched now.
    """
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        keep_freed_memory()
    choice = weights.choose(config.model, config.paths.models, has_gpu=device.type == "cuda")
    if choice.fetchable and not weights.is_complete(choice.folder, choice.prompt_file):
        weights.fetch(config.paths.models, lambda progress: on_message(str(progress)))
    loaded = load_model(choice.folder, device, dtype or _dtype(device, choice.name), choice.prompt_file)
    slim(loaded.model.decoder)
    for note in loaded.notes:
        log.info("%s", note)
    return engine_for(loaded.model, choice.name, config)


def engine_for(model: FlashVSR, name: str, config: Config) -> Engine:
    """The engine of a model that lies on its device already; `name` is what results call it."""
    if model.dtype == torch.float32:
        torch.backends.cudnn.allow_tf32 = False  # who computes in float32 wants its precision
    label = torch.cuda.get_device_name(model.device) if model.device.type == "cuda" else "CPU"
    log.info("model %s on %s, %s", name, label, str(model.dtype).removeprefix("torch."))
    return Engine(model, name, label, _offloads_cache(config, model.device))


def _offloads_cache(config: Config, device: torch.device) -> bool:
    if device.type == "cpu" or config.model.cache_offload == "none":
        return False
    memory = torch.cuda.get_device_properties(device).total_memory
    return config.model.cache_offload == "cpu" or memory <= config.model.cache_offload_threshold_gb * 2**30


def _dtype(device: torch.device, name: str) -> torch.dtype:
    # The nano model hands whole pictures through its layers; bfloat16 would round them by several 8-bit levels.
    if name == weights.NANO or device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.get_device_capability(device) >= LEAST_CAPABILITY else torch.float32
