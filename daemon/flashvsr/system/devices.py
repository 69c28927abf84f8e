"""Finds the GPUs of this machine, without torch, and lays out one slot for each worker process.

The CUDA runtime may count GPUs differently from the driver (fastest first), so a worker is bound by UUID.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flashvsr.errors import BadConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Slot:
    """A place for one worker: name, value of CUDA_VISIBLE_DEVICES, label for people, memory in bytes.

    `capability`: the GPU's compute capability, None where there is no GPU or it does not tell.
    """

    name: str
    visible: str
    label: str
    memory: int | None
    capability: tuple[int, int] | None = None


CPU = Slot(name="cpu", visible="", label="CPU", memory=None)


@dataclass(frozen=True)
class _Gpu:
    index: int
    uuid: str
    slot: Slot


def discover(
    devices: str | tuple[int | str, ...], max_concurrent: int, environ: Mapping[str, str] = os.environ
) -> tuple[Slot, ...]:
    """Return the slots for `gpu.devices`, at most `max_concurrent` of them (0: no limit).

    "auto" takes every GPU, or one CPU slot where there is none; "cuda" every GPU; "cpu" the CPU; else the
    GPUs named by number (as nvidia-smi counts) or UUID. A CUDA_VISIBLE_DEVICES set for the service narrows
    "auto" and "cuda". Raises BadConfig if a GPU that was asked for does not exist, naming those that do.
    """
    if devices == "cpu":
        return (CPU,)
    with _driver() as nvml:
        gpus = list(_gpus(nvml)) if nvml is not None else []
    if isinstance(devices, str):
        chosen = _visible(gpus, environ.get("CUDA_VISIBLE_DEVICES"))
        if not chosen and devices == "cuda":
            why = "CUDA_VISIBLE_DEVICES hides every GPU" if gpus else _present(gpus)
            raise BadConfig(f'gpu.devices = "cuda", but {why}; mend that, or set "auto" or "cpu"')
    else:
        chosen = _named(gpus, devices)
    slots = tuple(gpu.slot for gpu in chosen) or (CPU,)
    return slots[:max_concurrent] if max_concurrent else slots


def driver_version() -> str | None:
    """The version of the NVIDIA driver, None where there is none."""
    with _driver() as nvml:
        return _text(nvml.nvmlSystemGetDriverVersion()) if nvml is not None else None


@dataclass(frozen=True)
class Reading:
    """What a GPU tells of itself now; None where it does not. Degrees Celsius, watts, a share from 0 to 1."""

    slot: str
    temperature: float | None
    power: float | None
    utilisation: float | None


def readings(slots: Iterable[Slot]) -> list[Reading]:
    """Ask the GPUs of these slots; slots without one are left out."""
    wanted = [slot for slot in slots if slot.visible]
    if not wanted:
        return []
    with _driver() as nvml:
        return [] if nvml is None else [_reading(nvml, slot) for slot in wanted]


def _reading(nvml: Any, slot: Slot) -> Reading:
    def ask(question: Callable[[Any], float]) -> float | None:
        try:
            return float(question(nvml.nvmlDeviceGetHandleByUUID(slot.visible)))
        except nvml.NVMLError:  # an instance of MIG tells little; one fallen off the bus nothing
            return None

    return Reading(
        slot.name,
        ask(lambda handle: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
        ask(lambda handle: nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
        ask(lambda handle: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100),
    )


@contextmanager
def _driver() -> Iterator[Any]:
    """Yield the NVML binding, or None where there is no NVIDIA driver to ask."""
    try:
        import pynvml
    except ImportError:
        log.warning("the package nvidia-ml-py is missing, so no GPU is looked for; install it to use GPUs")
        yield None
        return
    absent = (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if error.value not in absent:
            # A GPU is likely there, but unusable: say so, a silent step down to the CPU would puzzle people.
            log.warning("the NVIDIA driver does not answer, so no GPU is used: %s", error)
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _gpus(nvml: Any) -> Iterator[_Gpu]:
    """Yield each GPU that answers; one divided by MIG is replaced by its instances."""
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            instances = _mig_instances(nvml, handle)
            if instances is None:
                yield _describe(nvml, handle, index, f"gpu{index}")
            else:
                for number, instance in enumerate(instances):
                    yield _describe(nvml, instance, index, f"gpu{index}-mig{number}")
        except nvml.NVMLError as error:  # fallen off the bus, or not ours to use: the others go on
            log.warning("GPU %d does not answer and is left out: %s", index, error)


def _mig_instances(nvml: Any, handle: Any) -> list[Any] | None:
    """The MIG instances of a GPU, or None if it is not divided."""
    try:
        current, _pending = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:  # most GPUs cannot be divided at all
        return None
    if current != nvml.NVML_DEVICE_MIG_ENABLE:
        return None
    instances = []
    for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            instances.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))
        except nvml.NVMLError as error:
            if error.value != nvml.NVML_ERROR_NOT_FOUND:  # an unused place
                raise
    return instances


def _describe(nvml: Any, handle: Any, index: int, name: str) -> _Gpu:
    uuid = _text(nvml.nvmlDeviceGetUUID(handle))
    try:
        memory: int | None = int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
    except nvml.NVMLError:  # GPUs that share the host's memory do not tell
        memory = None
    try:
        major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
        capability: tuple[int, int] | None = (int(major), int(minor))
    except nvml.NVMLError:
        capability = None
    return _Gpu(index, uuid, Slot(name, uuid, _text(nvml.nvmlDeviceGetName(handle)), memory, capability))


def _visible(gpus: list[_Gpu], limit: str | None) -> list[_Gpu]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves, in its order. Like CUDA, stop at the first wrong entry."""
    if limit is None:
        return gpus
    chosen: list[_Gpu] = []
    for entry in (part.strip() for part in limit.split(",")):
        matches = _matching(gpus, int(entry) if entry.isascii() and entry.isdigit() else entry)
        if not matches or matches[0] in chosen:
            break
        chosen += matches
    return chosen


def _named(gpus: list[_Gpu], devices: tuple[int | str, ...]) -> list[_Gpu]:
    """The GPUs that the settings name, in their order."""
    chosen: list[_Gpu] = []
    problems = []
    for device in devices:
        matches = _matching(gpus, device)
        if not matches:
            problems.append(f"gpu.devices names {device!r}, but {_present(gpus)}; correct gpu.devices")
        elif any(match in chosen for match in matches):
            problems.append(f"gpu.devices names {matches[0].slot.name} ({matches[0].uuid}) twice; name it once")
        else:
            chosen += matches
    if problems:
        raise BadConfig(*problems)
    return chosen


def _matching(gpus: list[_Gpu], device: int | str) -> list[_Gpu]:
    """GPUs of a number (several if divided by MIG) or the one whose UUID starts like this."""
    if isinstance(device, int):
        return [gpu for gpu in gpus if gpu.index == device]
    found = [gpu for gpu in gpus if device.startswith(("GPU-", "MIG-")) and gpu.uuid.startswith(device)]
    return found if len(found) == 1 else []


def _present(gpus: list[_Gpu]) -> str:
    if not gpus:
        return "no GPU is found here (does nvidia-smi list one?)"
    names = ", ".join(f"{gpu.index} = {gpu.slot.label} ({gpu.uuid})" for gpu in gpus)
    return f"this machine has: {names}"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value  # older bindings return bytes
