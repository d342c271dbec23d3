"""TF32 on a GPU: whether PyTorch's float32 convolutions and matrix products may use it.

PyTorch has two sets of settings for this, the booleans `allow_tf32` and, since 2.9, the words `fp32_precision`. Each
reads the other only where both agree: a process that has used the words makes the booleans raise when they are read.
Here the booleans are written, which some of PyTorch still asks, and the words behind them where they say otherwise.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["tf32_set"]

_MATMUL, _CUDNN = torch.backends.cuda.matmul, torch.backends.cudnn


def _words() -> tuple[Any, ...]:
    """Return the settings by words: "tf32", "ieee" or "none", which is what a wider setting says."""
    cudnn: Any = _CUDNN  # its parts are made at run time
    return _MATMUL, cudnn.conv, cudnn.rnn


def _products() -> str:
    """Return the precision of matrix products by the older setting: "highest", "high" or "medium"."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # both settings differ
        return "highest" if _MATMUL.fp32_precision == "tf32" else "high"


def _convolutions(said: list[str]) -> bool:
    """Return the older setting of convolutions, where `said` are the newer ones."""
    try:
        return bool(_CUDNN.allow_tf32)
    except RuntimeError:
        return any(word != "tf32" for word in said[1:])


@contextmanager
def tf32_set(allowed: bool) -> Iterator[None]:
    """Let float32 products use TF32 while the block runs, or not; the settings of before come back after it.

    They are settings of the process: threads that are in such blocks at the same time need a lock.

    Args:
        allowed: whether products may use it.
    """
    said, products = [word.fp32_precision for word in _words()], _products()
    convolutions = _convolutions(said)
    try:
        _MATMUL.allow_tf32 = _CUDNN.allow_tf32 = allowed
        for word in _words():
            if (word.fp32_precision == "tf32") != allowed:  # a wider setting says so
                word.fp32_precision = "tf32" if allowed else "ieee"
        yield
    finally:
        _MATMUL.allow_tf32, _CUDNN.allow_tf32 = products != "highest", convolutions
        if products == "medium":
            torch.set_float32_matmul_precision(products)
        for word, before in zip(_words(), said, strict=True):
            word.fp32_precision = before
