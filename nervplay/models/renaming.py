"""Official tensor names to ours: a table of patterns per architecture, applied here."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from nervplay.errors import CheckpointError

__all__ = ["Rule", "rename"]

T = TypeVar("T")
Rule = tuple[str, str | Callable[[re.Match[str]], str]]
"""A pattern that matches a whole official name, and its replacement as `re.sub` takes it."""


def rename(state: Mapping[str, T], rules: Iterable[Rule]) -> dict[str, T]:
    """Return `state` under the names that the first matching rule gives; batch counters of BatchNorm are dropped.

    Args:
        state: anything, by official tensor name.
        rules: tried in order.

    Raises:
        CheckpointError: a name that no rule knows, or two names that become one.
    """
    rules = tuple(rules)
    renamed: dict[str, T] = {}
    for name, value in state.items():
        if name.endswith(".num_batches_tracked"):
            continue
        for pattern, replacement in rules:
            if re.fullmatch(pattern, name):
                new = re.sub(pattern, replacement, name)
                break
        else:
            raise CheckpointError(f"the checkpoint has a tensor '{name}' that the official network does not have")
        if new in renamed:
            raise CheckpointError(f"the checkpoint's tensor '{name}' appears twice under the name '{new}'")
        renamed[new] = value
    return renamed
