"""What a device can do at most, measured: products of large matrices, the best code that its vendors have."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from nervplay.decode.torch_decoder import torch_threads

__all__ = ["PEAK_WORDS", "measure_peaks"]

PEAK_WORDS = "the fastest of repeated products of square matrices by PyTorch (2 operations per multiply-add)"

_SIDES = {"cpu": 1536, "cuda": 8192}
_SECONDS = 1.0
_LONGEST = _SECONDS / 4  # of one product; what a processor has no instructions for takes smaller matrices


def measure_peaks(device: str, threads: int | None) -> dict[str, float]:
    """Return 10**9 operations per second by arithmetic: "FP32", "BF16", "INT8"; what PyTorch cannot do is left out.

    Args:
        device: "cpu" or a CUDA device; TF32 stays off.
        threads: processor cores to use; None for PyTorch's setting.
    """
    place = torch.device(device)
    largest, found = _SIDES[place.type], {}
    with torch_threads(threads), torch.inference_mode():
        for name, dtype in (("FP32", torch.float32), ("BF16", torch.bfloat16), ("INT8", torch.int8)):
            product: Callable[[Tensor, Tensor], Tensor] = torch._int_mm if dtype == torch.int8 else torch.mm  # noqa: SLF001 - there is no other
            side = largest // 4
            try:
                seconds = _fastest(product, *_factors(side, dtype, place), seconds=0)
                while side < largest and 8 * seconds < _LONGEST:
                    side, seconds = 2 * side, 8 * seconds
                seconds = _fastest(product, *_factors(side, dtype, place), seconds=_SECONDS)
            except (RuntimeError, NotImplementedError):
                continue
            found[name] = 2 * side**3 / seconds / 1e9
    return found


def _factors(side: int, dtype: torch.dtype, place: torch.device) -> tuple[Tensor, Tensor]:
    """Return two square matrices whose product reads both along their rows."""
    a, b = (torch.randn(side, side, device=place).mul(10).to(dtype) for _ in range(2))
    return a, b.T


def _fastest(product: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor, *, seconds: float) -> float:
    """Return the least seconds of a product, of all that `seconds` has room for; three at least."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 4 or time.perf_counter() < end:
        began = time.perf_counter()
        product(a, b)
        if a.is_cuda:
            torch.cuda.synchronize(a.device)
        times.append(time.perf_counter() - began)
    return min(times[1:])
