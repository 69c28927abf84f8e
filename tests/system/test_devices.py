"""GPU discovery against a stand-in for the NVML binding: its calls, its errors and its names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from flashvsr.errors import BadConfig
from flashvsr.system.devices import CPU, Reading, Slot, discover, readings

GIB = 2**30


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"NVML error {value}")
        self.value = value


@dataclass
class Gpu:
    uuid: str
    name: str = "NVIDIA H100 80GB HBM3"
    memory: int | None = 80 * GIB
    lost: bool = False
    mig: list[Gpu | None] | None = None
    capability: tuple[int, int] | None = (9, 0)
    temperature: int | None = 61
    power: int | None = 350_500  # milliwatts


@dataclass
class Nvml:
    """The part of pynvml that is used. Error numbers are those of the real library."""

    gpus: list[Gpu] = field(default_factory=list)
    init_error: int | None = None
    open: int = 0

    NVMLError = NVMLError
    NVML_ERROR_NOT_FOUND = 6
    NVML_ERROR_DRIVER_NOT_LOADED = 9
    NVML_ERROR_LIBRARY_NOT_FOUND = 12
    NVML_DEVICE_MIG_ENABLE = 1
    NVML_TEMPERATURE_GPU = 0
    NVML_ERROR_NOT_SUPPORTED = 3

    def nvmlInit(self) -> None:
        if self.init_error is not None:
            raise NVMLError(self.init_error)
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Gpu:
        if self.gpus[index].lost:
            raise NVMLError(15)
        return self.gpus[index]

    def nvmlDeviceGetMigMode(self, gpu: Gpu) -> list[int]:
        if gpu.mig is None:
            raise NVMLError(3)
        return [1, 1] if gpu.mig else [0, 0]

    def nvmlDeviceGetMaxMigDeviceCount(self, gpu: Gpu) -> int:
        return len(gpu.mig or [])

    def nvmlDeviceGetMigDeviceHandleByIndex(self, gpu: Gpu, number: int) -> Gpu:
        found = (gpu.mig or [])[number]
        if found is None:
            raise NVMLError(6)
        return found

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Gpu:
        for gpu in self.gpus:
            if gpu.uuid == uuid and not gpu.lost:
                return gpu
        raise NVMLError(self.NVML_ERROR_NOT_FOUND)

    def nvmlDeviceGetTemperature(self, gpu: Gpu, sensor: int) -> int:
        assert sensor == self.NVML_TEMPERATURE_GPU
        return self._told(gpu.temperature)

    def nvmlDeviceGetPowerUsage(self, gpu: Gpu) -> int:
        return self._told(gpu.power)

    def nvmlDeviceGetUtilizationRates(self, gpu: Gpu) -> SimpleNamespace:
        return SimpleNamespace(gpu=97, memory=12)

    def _told(self, value: int | None) -> int:
        if value is None:
            raise NVMLError(self.NVML_ERROR_NOT_SUPPORTED)
        return value

    def nvmlDeviceGetUUID(self, gpu: Gpu) -> str:
        return gpu.uuid

    def nvmlDeviceGetName(self, gpu: Gpu) -> bytes:
        return gpu.name.encode()

    def nvmlDeviceGetCudaComputeCapability(self, gpu: Gpu) -> list[int]:
        if gpu.capability is None:
            raise NVMLError(3)
        return list(gpu.capability)

    def nvmlDeviceGetMemoryInfo(self, gpu: Gpu) -> SimpleNamespace:
        if gpu.memory is None:
            raise NVMLError(3)
        return SimpleNamespace(total=gpu.memory)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nvml]:
    """A machine whose GPUs the test sets."""
    fake = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    yield fake
    assert fake.open == 0, "the driver connection is closed"


def names(slots: tuple[Slot, ...]) -> list[str]:
    return [slot.name for slot in slots]


def test_the_stand_in_uses_the_numbers_of_the_real_binding() -> None:
    pynvml = pytest.importorskip("pynvml")
    for name in (name for name in vars(Nvml) if name.startswith("NVML_")):
        assert getattr(pynvml, name) == getattr(Nvml, name)
    for name in (name for name in vars(Nvml) if name.startswith("nvml")):
        assert callable(getattr(pynvml, name))


def test_auto_takes_every_gpu_and_binds_by_uuid(nvml: Nvml) -> None:
    nvml.gpus = [Gpu("GPU-aaaa"), Gpu("GPU-bbbb", "NVIDIA L4", 24 * GIB, capability=None)]
    assert discover("auto", 0, {}) == (
        Slot("gpu0", "GPU-aaaa", "NVIDIA H100 80GB HBM3", 80 * GIB, (9, 0)),
        Slot("gpu1", "GPU-bbbb", "NVIDIA L4", 24 * GIB),
    )


def test_the_number_of_jobs_is_capped_not_raised(nvml: Nvml) -> None:
    nvml.gpus = [Gpu("GPU-a"), Gpu("GPU-b"), Gpu("GPU-c")]
    assert names(discover("auto", 2, {})) == ["gpu0", "gpu1"]
    assert names(discover("auto", 9, {})) == ["gpu0", "gpu1", "gpu2"]


def test_cpu_asks_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # importing it would fail
    assert discover("cpu", 0, {}) == (CPU,)
    assert (CPU.name, CPU.visible, CPU.label, CPU.memory) == ("cpu", "", "CPU", None)


@pytest.mark.parametrize("error", [9, 12])
def test_without_a_driver_auto_is_one_cpu_slot(nvml: Nvml, error: int, caplog: pytest.LogCaptureFixture) -> None:
    nvml.init_error = error
    assert discover("auto", 0, {}) == (CPU,)
    assert discover("auto", 3, {}) == (CPU,)
    assert not caplog.records


def test_a_driver_that_does_not_answer_is_reported(nvml: Nvml, caplog: pytest.LogCaptureFixture) -> None:
    nvml.init_error = 18  # library and kernel module of different versions
    assert discover("auto", 0, {}) == (CPU,)
    assert "the NVIDIA driver does not answer" in caplog.text


def test_a_missing_binding_is_reported(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert discover("auto", 0, {}) == (CPU,)
    assert "nvidia-ml-py" in caplog.text


def test_cuda_does_not_step_down_to_the_cpu(nvml: Nvml) -> None:
    with pytest.raises(BadConfig, match="no GPU is found"):
        discover("cuda", 0, {})
    nvml.gpus = [Gpu("GPU-a")]
    assert names(discover("cuda", 0, {})) == ["gpu0"]
    with pytest.raises(BadConfig, match="CUDA_VISIBLE_DEVICES hides every GPU"):
        discover("cuda", 0, {"CUDA_VISIBLE_DEVICES": ""})


def test_gpus_are_named_by_number_or_uuid_in_the_order_given(nvml: Nvml) -> None:
    nvml.gpus = [Gpu("GPU-aaaa"), Gpu("GPU-bbbb"), Gpu("GPU-cccc")]
    assert names(discover((2, "GPU-aaaa"), 0, {})) == ["gpu2", "gpu0"]
    assert names(discover(("GPU-b",), 0, {})) == ["gpu1"]


def test_a_gpu_that_does_not_exist_is_refused_naming_those_that_do(nvml: Nvml) -> None:
    nvml.gpus = [Gpu("GPU-aaaa"), Gpu("GPU-bbbb")]
    with pytest.raises(BadConfig) as caught:
        discover((0, 4, "GPU-zzzz"), 0, {})
    message = str(caught.value)
    assert "names 4, but" in message
    assert "names 'GPU-zzzz', but" in message
    assert "1 = NVIDIA H100 80GB HBM3 (GPU-bbbb)" in message


def test_an_asked_gpu_on_a_machine_without_any_is_refused(nvml: Nvml) -> None:
    with pytest.raises(BadConfig, match="no GPU is found here"):
        discover((0,), 0, {})


def test_a_uuid_that_fits_several_gpus_is_refused(nvml: Nvml) -> None:
    nvml.gpus = [Gpu("GPU-aa"), Gpu("GPU-ab")]
    with pytest.raises(BadConfig, match="names 'GPU-a', but"):
        discover(("GPU-a",), 0, {})


def test_one_gpu_named_in_two_ways_is_refused(nvml: Nvml) -> None:
    nvml.gpus = [Gpu("GPU-aaaa")]
    with pytest.raises(BadConfig, match="twice"):
        discover((0, "GPU-aaaa"), 0, {})


def test_a_lost_gpu_is_left_out_and_reported(nvml: Nvml, caplog: pytest.LogCaptureFixture) -> None:
    nvml.gpus = [Gpu("GPU-a", lost=True), Gpu("GPU-b")]
    assert names(discover("auto", 0, {})) == ["gpu1"]
    assert "GPU 0 does not answer" in caplog.text


def test_a_gpu_that_does_not_tell_its_memory_is_used(nvml: Nvml) -> None:
    nvml.gpus = [Gpu("GPU-a", memory=None)]
    assert discover("auto", 0, {})[0].memory is None


def test_mig_instances_take_the_place_of_their_gpu(nvml: Nvml) -> None:
    nvml.gpus = [Gpu("GPU-a", mig=[Gpu("MIG-1"), None, Gpu("MIG-2")]), Gpu("GPU-b", mig=[])]
    slots = discover("auto", 0, {})
    assert names(slots) == ["gpu0-mig0", "gpu0-mig1", "gpu1"]
    assert [slot.visible for slot in slots] == ["MIG-1", "MIG-2", "GPU-b"]
    assert names(discover(("MIG-2",), 0, {})) == ["gpu0-mig1"]
    assert names(discover((0,), 0, {})) == ["gpu0-mig0", "gpu0-mig1"]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("1", ["gpu1"]),
        ("2,0", ["gpu2", "gpu0"]),
        ("GPU-b", ["gpu1"]),
        ("", ["cpu"]),
        ("-1", ["cpu"]),
        ("1,-1,0", ["gpu1"]),
        ("7", ["cpu"]),
    ],
)
def test_cuda_visible_devices_of_the_service_narrows_auto(nvml: Nvml, visible: str, expected: list[str]) -> None:
    nvml.gpus = [Gpu("GPU-a"), Gpu("GPU-b"), Gpu("GPU-c")]
    assert names(discover("auto", 0, {"CUDA_VISIBLE_DEVICES": visible})) == expected
    assert names(discover((2,), 0, {"CUDA_VISIBLE_DEVICES": visible})) == ["gpu2"]


@pytest.mark.gpu
def test_the_gpus_of_this_machine_are_those_of_cuda() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    slots = discover("auto", 0)
    assert len(slots) == torch.cuda.device_count()
    assert {slot.label for slot in slots} == {torch.cuda.get_device_name(i) for i in range(len(slots))}
    assert {slot.visible for slot in slots} == {
        f"GPU-{torch.cuda.get_device_properties(i).uuid}" for i in range(len(slots))
    }


def test_readings_of_the_gpus_that_have_a_slot(nvml: Nvml) -> None:
    nvml.gpus = [Gpu("GPU-aaaa"), Gpu("GPU-bbbb", temperature=None, power=None), Gpu("GPU-cccc")]
    slots = discover((0, 1), 0, {})
    assert readings([*slots, CPU]) == [Reading("gpu0", 61.0, 350.5, 0.97), Reading("gpu1", None, None, 0.97)]
    assert nvml.open == 0
    nvml.gpus[0].lost = True
    assert readings(slots)[0] == Reading("gpu0", None, None, None)


def test_without_a_gpu_nobody_is_asked(nvml: Nvml) -> None:
    nvml.init_error = Nvml.NVML_ERROR_DRIVER_NOT_LOADED
    assert readings([CPU]) == []
    assert readings([Slot("gpu0", "GPU-aaaa", "a GPU", None)]) == []
