"""OpenVINO without its telemetry, and what it can do here.

`import openvino` alone sends an event to an analytics service of its makers and writes into the home folder, by way of
the package openvino_telemetry. Where that cannot be imported, a stub of OpenVINO's own does nothing, and goes on doing
nothing for the life of the process: so it is hidden while OpenVINO is imported. A program that has imported OpenVINO
itself before has decided for itself.
"""

import functools
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from typing import Any

import torch

from nervplay.errors import CapabilityError

__all__ = ["compiled", "has_bfloat16", "openvino", "sums_in_16_bits"]

_TELEMETRY = "openvino_telemetry"


@functools.cache
def openvino() -> Any:
    """Return the module `openvino`, imported on first use.

    Raises:
        CapabilityError: it is not installed, or does not run here.
    """
    if importlib.util.find_spec("openvino") is None:
        raise CapabilityError("backend openvino needs the package openvino; install it: pip install nervplay[cpu]")
    absent = object()
    before: Any = sys.modules.get(_TELEMETRY, absent)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # this is how Python marks what cannot be imported
    try:
        module = importlib.import_module("openvino")
        importlib.import_module("openvino.opset13")
    except (ImportError, OSError) as error:
        raise CapabilityError(
            f"the package openvino does not load here ({error}); install it anew: pip install nervplay[cpu]"
        ) from None
    finally:
        if before is absent:
            del sys.modules[_TELEMETRY]
        else:
            sys.modules[_TELEMETRY] = before
    return module


@functools.cache
def _core() -> Any:
    """Return the one `openvino.Core` of the process."""
    return openvino().Core()


def has_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def sums_in_16_bits() -> bool:
    """Return whether this processor adds pairs of 8-bit products in 16 bits, as x86 without VNNI; see `quantise`."""
    features: Mapping[str, Any] = torch.cpu.get_capabilities()
    return features.get("architecture") == "x86_64" and not (features.get("avx512_vnni") or features.get("avx_vnni"))


def compiled(model: Any, threads: int, *, bfloat16: bool = False) -> Any:
    """Return a network ready to run, `openvino.CompiledModel`.

    Args:
        model: `openvino.Model`.
        threads: processor cores to use.
        bfloat16: whether what is float32 in the model may be computed in bfloat16.

    Raises:
        CapabilityError: OpenVINO refuses it, as it does two linear layers of one channel behind each other.
    """
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
        # Several decoders of one process would all be pinned to the same cores.
        "ENABLE_CPU_PINNING": False,
        "ENABLE_HYPER_THREADING": True,
    }
    try:
        return _core().compile_model(model, "CPU", options)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise CapabilityError(f"OpenVINO cannot run this network: {reason}; use --backend native") from None
