"""Whether a GPU that the driver lists can really compute: builds of PyTorch leave old ones out, and drivers age."""

from functools import lru_cache

import torch

__all__ = ["why_not_usable"]


@lru_cache
def why_not_usable(device: torch.device) -> str | None:
    """Return why a device cannot compute, in a few words; None when it can. Tried once per process.

    Args:
        device: a CUDA device that PyTorch lists.
    """
    try:
        ones = torch.ones(8, device=device)
        return None if float((ones + ones).sum()) == 16.0 else "it adds up wrong"
    except (RuntimeError, AssertionError) as error:  # PyTorch asserts that it was built with CUDA
        return str(error).strip().partition("\n")[0].rstrip(".")
