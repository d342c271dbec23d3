"""Optimisers without PyTorch's compiler: importing that takes seconds, and it never compiles a step of theirs here.

PyTorch wraps methods of its optimisers, to hide them from its compiler or to break graphs around them, and what it
wraps them in imports the compiler. Without the wrapping they compute the same.
"""

import inspect
from typing import Any, TypeVar

import torch
from torch.optim import Optimizer

__all__ = ["Adam", "eager"]

OptimizerT = TypeVar("OptimizerT", bound=Optimizer)
_WRAPPED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def eager(kind: type[OptimizerT]) -> type[OptimizerT]:
    """Return a class of optimisers that do what those of `kind` do and do not import PyTorch's compiler.

    Args:
        kind: optimisers whose steps nobody differentiates.
    """
    methods: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in _WRAPPED}
    methods["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    methods["__doc__"] = kind.__doc__
    return type(kind.__name__, (kind,), methods)


Adam = eager(torch.optim.Adam)
