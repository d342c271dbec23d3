"""What commands do, behind what their modules in `app.cli` declare and check. All of it may load torch.

A command imports its part inside its function, when its arguments are checked. PyTorch is loaded here, before all else.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__: list[str] = []


@contextmanager
def _never_collected() -> Iterator[None]:
    """Keep what is imported inside the block out of this process's garbage collections, which would find nothing there.

    Each look through PyTorch's half million objects takes a third of a second.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


with _never_collected():
    import torch  # noqa: F401 - for all that follows
