"""The loaded model on this worker's device."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch

from flashvsr import weights
from flashvsr.config import Config
from flashvsr.model.network import FlashVSR
from flashvsr.model.weights import load_model

log = logging.getLogger(__name__)

LEAST_CAPABILITY = (8, 0)  # GPUs that compute in bfloat16


@dataclass(frozen=True)
class Engine:
    """A model that is ready to work. `name` is what results call it, `label` the device for people."""

    model: FlashVSR
    name: str
    label: str

    @property
    def identity(self) -> str:
        """Equal for engines whose frames may be joined in one video."""
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        return f"{self.name} {parameters} {self.model.dtype}"


def load_engine(config: Config, on_message: Callable[[str], None]) -> Engine:
    """Load the configured weights onto this process's GPU, or the CPU where it sees none.

    Official weights that are not there yet are fetched first; `on_message` hears how that goes, and may raise.

    Raises:
        BadConfig: the weights are incomplete, damaged or foreign.
        Transient: they could not be fetched now.
    """
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    choice = weights.choose(config.model, config.paths.models, has_gpu=device.type == "cuda")
    if choice.fetchable and not weights.is_complete(choice.folder, choice.prompt_file):
        weights.fetch(config.paths.models, lambda progress: on_message(str(progress)))
    loaded = load_model(choice.folder, device, _dtype(device), choice.prompt_file)
    for note in loaded.notes:
        log.info("%s", note)
    label = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    log.info("model %s on %s, %s", choice.name, label, str(loaded.model.dtype).removeprefix("torch."))
    return Engine(loaded.model, choice.name, label)


def _dtype(device: torch.device) -> torch.dtype:
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= LEAST_CAPABILITY:
        return torch.bfloat16
    return torch.float32
