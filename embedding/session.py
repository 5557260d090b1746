"""ONNX Runtime sessions on exactly the device that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from numpy.typing import NDArray

from embedding.bundle import BundleInvalid
from embedding.errors import DeviceUnavailable
from embedding.manifest import Device

__all__ = ["DEVICES", "BoundSession", "Session", "available_devices", "open_session"]

DEVICES: dict[Device, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""Device -> ONNX Runtime's name of its execution provider."""

_INSTALL = {
    "cpu": "pip install 'whichone[cpu]'",
    "cuda": "pip install 'whichone[gpu]' instead of 'whichone[cpu]'",
}


class Session(Protocol):
    """The part of ``onnxruntime.InferenceSession`` that is used here."""

    def run(self, outputs: Sequence[str], feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]: ...

    def get_inputs(self) -> Sequence[Any]: ...

    def get_outputs(self) -> Sequence[Any]: ...

    def get_providers(self) -> list[str]: ...


def open_session(model: Path, device: Device, threads: int | None = None) -> Session:
    """Load an ONNX file on a device.

    Args:
        model: the file.
        device: ``cpu`` or ``cuda``; never anything else than asked.
        threads: of one call, on the CPU; None leaves it to ONNX Runtime (one a physical core).

    Raises:
        DeviceUnavailable: the device is unknown, its package is not installed, or it does not start. ONNX
            Runtime itself would carry on with the CPU: that is looked for and refused. BundleInvalid: the
            file is no model that ONNX Runtime can load.
    """
    if device not in DEVICES:
        raise DeviceUnavailable(f"The device {device!r} is unknown; there are {', '.join(DEVICES)}.", device=device)
    ort = _runtime(device)
    if DEVICES[device] not in ort.get_available_providers():
        raise DeviceUnavailable(
            f"The device {device} was asked for, but the ONNX Runtime here has no {DEVICES[device]} "
            f"(it has {', '.join(ort.get_available_providers())}); {_INSTALL[device]}.",
            device=device,
        )
    if device == "cuda" and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # finds CUDA and cuDNN where pip put them
    session = _load(ort, model, device, threads)
    if session.get_providers()[:1] != [DEVICES[device]]:
        raise DeviceUnavailable(
            f"The device {device} was asked for and did not start: ONNX Runtime fell back to "
            f"{', '.join(session.get_providers())}. Check the driver with nvidia-smi, and that CUDA and cuDNN "
            "have the versions that this ONNX Runtime wants.",
            device=device,
        )
    return session


class BoundSession:
    """A session whose inputs and outputs are bound for each call: on CUDA the copies to and from the device are then
    part of the run, with no look for where they lie. Answers as the session itself does."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, outputs: Sequence[str], feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """As of `Session`."""
        binding = self._session.io_binding()
        for name, value in feeds.items():
            binding.bind_cpu_input(name, value)
        for name in outputs:
            binding.bind_output(name)
        self._session.run_with_iobinding(binding)
        return list(binding.copy_outputs_to_cpu())

    def get_inputs(self) -> Sequence[Any]:
        """As of `Session`."""
        return cast(Sequence[Any], self._session.get_inputs())

    def get_outputs(self) -> Sequence[Any]:
        """As of `Session`."""
        return cast(Sequence[Any], self._session.get_outputs())

    def get_providers(self) -> list[str]:
        """As of `Session`."""
        return cast(list[str], self._session.get_providers())


def available_devices() -> tuple[Device, ...]:
    """The devices whose provider is installed; whether a GPU then starts, only `open_session` can tell.

    Raises:
        DeviceUnavailable: ONNX Runtime is not installed.
    """
    installed = _runtime("cpu").get_available_providers()
    return tuple(device for device, provider in DEVICES.items() if provider in installed)


def _runtime(device: Device) -> Any:
    try:
        return import_module("onnxruntime")
    except ImportError as error:
        raise DeviceUnavailable(
            f"ONNX Runtime is not installed, or does not load ({error}); {_INSTALL[device]}.", device=device
        ) from error


def _load(ort: Any, model: Path, device: Device, threads: int | None) -> Session:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.use_deterministic_compute = True
    # Threads that look for work instead of sleeping save a call 3 of 50 ms while nothing else runs, and take the cores
    # from whatever does: of two, a lone client's question took 126 ms of processor time with it and 82 without.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads is not None:
        options.intra_op_num_threads = threads
    provider: Any = DEVICES[device]
    if device == "cuda":
        # HEURISTIC: the default measures every algorithm anew for each batch size it has not seen.
        provider = (provider, {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"})
    try:
        session = ort.InferenceSession(str(model), options, providers=[provider])
    except Exception as error:  # its exceptions share no base but this
        if device == "cuda":
            raise DeviceUnavailable(f"The device cuda did not start: {_first_line(error)}.", device=device) from error
        raise BundleInvalid(f"ONNX Runtime cannot load {model.name}: {_first_line(error)}.", file=model.name) from error
    session.disable_fallback()
    return BoundSession(session) if device == "cuda" else cast(Session, session)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300].rstrip(".")
