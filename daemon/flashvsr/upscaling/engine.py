"""The loaded model on this process's device."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from flashvsr.errors import BadConfig
from flashvsr.model.attention_choice import choose_attention
from flashvsr.model.loading import load_model
from flashvsr.model.network import FlashVSR
from flashvsr.model.slim import slim
from flashvsr.model.stages import plain_stages
from flashvsr.model.stream import Stream, StreamOptions, StreamSpec
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Model as ModelSettings
from flashvsr.system.memory import keep_freed_memory
from flashvsr.upscaling.largest import Caches, largest_result
from flashvsr.upscaling.savings import PLENTY, SAVINGS, Thrift, check_main_memory, next_saving, shortage
from flashvsr.weights import choice as weights

if TYPE_CHECKING:
    from flashvsr.model.fused.network import FusedModel

log = logging.getLogger(__name__)

LEAST_CAPABILITY = (8, 0)  # GPUs that compute in bfloat16
NEEDED_CAPABILITY = {"int8": (8, 0), "fp8": (9, 0)}  # and with these values of model.precision


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
    def note(self) -> str | None:
        """Why it is slower than it could be, for people; None if it is not."""

    @property
    def identity(self) -> str:
        """Equal for engines whose frames may be joined in one video."""

    @property
    def device(self) -> torch.device:
        """Where it wants its frames."""

    @property
    def largest(self) -> tuple[int, int]:
        """(width, height) of the largest wide result that its device has memory for."""

    def stream(self, size: tuple[int, int], options: StreamOptions, origin: int) -> FrameStream:
        """Start a video of `size` (width, height); `origin`: windows of it that lie before the first frame."""

    def save_memory(self) -> str | None:
        """The device's memory did not suffice: do with less for pictures as large as the last, and say how.

        Where there is nothing left to save, it raises what that means; None for a device without such memory.
        """


@dataclass
class Engine:
    """A model that is ready to work. `name` is what results call it, `label` the device for people.

    `fused`: the same weights as the fused kernels read them; None where the plain modules compute. `thrift`: what is
    done to save memory from the start, for pictures of any size.
    `note`: why this is slower than it could be, or None. `records`: whether a GPU may record windows and replay them.
    """

    model: FlashVSR
    name: str
    label: str
    fused: FusedModel | None = None
    thrift: Thrift = PLENTY
    note: str | None = None
    records: bool = True
    # The last picture, and from how many pixels on more is saved, since so large a one did not fit.
    _size: tuple[int, int] = (0, 0)
    _too_large: tuple[int, Thrift] | None = None

    @property
    def identity(self) -> str:
        """Equal for engines whose frames may be joined in one video."""
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        fewer_bits = "" if self.fused is None or self.fused.precision == "auto" else f" {self.fused.precision}"
        return f"{self.name} {parameters} {self.model.dtype}{fewer_bits}"

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def largest(self) -> tuple[int, int]:
        params = self.model.dit.params
        caches = Caches(params.layers, params.dim, self.model.dtype.itemsize)
        on_gpu = self.device.type == "cuda"
        memory = torch.cuda.get_device_properties(self.device).total_memory if on_gpu else None
        return largest_result(memory, fused=self.fused is not None, caches=caches)

    def stream(self, size: tuple[int, int], options: StreamOptions, origin: int) -> Stream:
        self._size = size
        width, height = size
        spec = StreamSpec(height, width, options, origin)
        thrift = self._thrift()
        if thrift.offload_cache and self.device.type != "cpu":
            check_main_memory(self.model, size, options)
        if self.fused is None:
            return Stream(plain_stages(self.model, spec, thrift.offload_cache))
        from flashvsr.model.fused.stages import fused_stages  # brings Triton along

        return Stream(fused_stages(self.fused, spec, self.records, **asdict(thrift)))

    def save_memory(self) -> str | None:
        if self.device.type == "cpu":
            return None
        saving = next_saving(self._thrift(), len(SAVINGS) if self.fused else 1)  # the plain modules know the first
        if saving is None:
            raise shortage(self.device, self._size)
        thrift, words = saving
        self._too_large = self._pixels(), thrift
        return words

    def _thrift(self) -> Thrift:
        """For the last picture."""
        if self._too_large is not None and self._pixels() >= self._too_large[0]:
            return self._too_large[1]
        return self.thrift

    def _pixels(self) -> int:
        width, height = self._size
        return width * height


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
    for note in loaded.notes:
        log.info("%s", note)
    return engine_for(loaded.model, choice.name, config)


def engine_for(model: FlashVSR, name: str, config: Config) -> Engine:
    """The engine of a model that lies on its device already, which it takes over; `name` is what results call it.

    Raises:
        BadConfig: `model.attention` asks for what this model or device cannot have.
    """
    device, dtype = model.device, model.dtype
    if dtype == torch.float32:
        torch.backends.cudnn.allow_tf32 = False  # who computes in float32 wants its precision
    label = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    fused, note = _fuse(model, config.model)
    if note is not None:
        log.warning("%s", note)
    if fused is None:
        slim(model.decoder)
    kernels = "fused kernels" if fused else "plain PyTorch"
    log.info("model %s on %s, %s, %s", name, label, str(dtype).removeprefix("torch."), kernels)
    return Engine(model, name, label, fused, Thrift(_offloads_cache(config, device)), note)


def _fuse(model: FlashVSR, settings: ModelSettings) -> tuple[FusedModel | None, str | None]:
    """The model for the fused kernels, where the settings, the device and the model's shapes allow it. Or BadConfig.

    Otherwise what a person should know about that, if anything.
    """
    chosen = choose_attention(settings.attention, model.device, model.dtype)
    if chosen.attention == "torch":
        _refuse_eight_bits(settings, "plain PyTorch computes here")
        return None, chosen.note
    from flashvsr.model.fused.network import FusedModel, unsuitable  # brings Triton along

    reason = unsuitable(model)
    if reason is not None:
        if settings.attention != "auto":
            raise BadConfig(
                f'model.attention = "{settings.attention}" does not go with this model: {reason}; set "auto" or "torch"'
            )
        _refuse_eight_bits(settings, f"they cannot compute this model: {reason}")
        return None, None
    needed = NEEDED_CAPABILITY.get(settings.precision)
    if needed and (here := torch.cuda.get_device_capability(model.device)) < needed:
        raise BadConfig(
            f'model.precision = "{settings.precision}" needs a GPU of compute capability {needed[0]}.{needed[1]} or '
            f'newer, and this one has {here[0]}.{here[1]}. Set model.precision = "auto"'
        )
    return FusedModel(model, chosen.attention, settings.precision), None


def _refuse_eight_bits(settings: ModelSettings, reason: str) -> None:
    if settings.precision != "auto":
        raise BadConfig(
            f'model.precision = "{settings.precision}" works only with the fast kernels, and {reason}. '
            'Set model.precision = "auto"'
        )


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
