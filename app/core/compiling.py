"""Telling the user that kernels are being compiled, once for each version, or that there are none."""

import contextlib
import logging
from collections.abc import Callable, Iterator

__all__ = ["told_of_compiling"]

_LOGGER = logging.getLogger("nervplay.compiling")
"""What `nervplay.decode.native.build`, `nervplay.training.native.build` and `nervplay.decode.opening` write to."""


class _Passing(logging.Handler):
    """Hands the words of records on.

    Args:
        tell: where to.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on the words of a record."""
        self._tell(record.getMessage())


@contextlib.contextmanager
def told_of_compiling(tell: Callable[[str], None]) -> Iterator[None]:
    """Call `tell` with a line whenever kernels are compiled or missed inside the block, by whichever thread.

    Blocks may overlap: whoever listens still is told when another one has ended.

    Args:
        tell: takes the line; called in the thread that compiles.
    """
    handler = _Passing(tell)
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        if not any(isinstance(other, _Passing) for other in _LOGGER.handlers):
            _LOGGER.setLevel(logging.NOTSET)
