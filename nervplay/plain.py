"""Numbers in records: NumPy's become Python's, which JSON and exact fractions take."""

from dataclasses import fields
from typing import Any

import numpy as np

__all__ = ["plain_numbers"]


def plain_numbers(record: Any) -> None:
    """Replace NumPy's numbers among the fields of a dataclass, and in their tuples; call it from `__post_init__`.

    Without it the record would do for a fit of hours, and fail to be written.

    Args:
        record: an instance; may be frozen.
    """
    for entry in fields(record):
        value = getattr(record, entry.name)
        if isinstance(value, np.generic):
            object.__setattr__(record, entry.name, value.item())
        elif isinstance(value, tuple) and any(isinstance(item, np.generic) for item in value):
            plain = tuple(item.item() if isinstance(item, np.generic) else item for item in value)
            object.__setattr__(record, entry.name, plain)
