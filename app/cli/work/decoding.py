"""Opening decoders, and what -v says about them."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from app.cli.output import progress
from nervplay.codec import NeuralVideo
from nervplay.decode import Decoder, open_decoder

__all__ = ["CalibrationBar", "open_logged"]

_LOG = logging.getLogger(__name__)


class CalibrationBar:
    """A bar on stderr while a file is calibrated for "int8", which its first use does; for each of its segments."""

    def __init__(self) -> None:
        self._shown = ExitStack()
        self._show: Callable[[float], None] | None = None

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` steps are done."""
        if self._show is None:
            self._show = self._shown.enter_context(progress("calibrating int8", total, "steps"))
        self._show(done)
        if done == total:
            self.close()

    def close(self) -> None:
        """Take the bar away."""
        self._shown.close()
        self._show = None


def open_logged(video: NeuralVideo | Path, *, device: str, precision: str = "fp32", backend: str = "auto") -> Decoder:
    """Open a decoder as `nervplay.decode.open_decoder` does, and log what it decodes and where.

    Args:
        video: an opened video, or the path of a .nerv file.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: one of `nervplay.decode.PRECISIONS`.
        backend: one of `nervplay.decode.BACKENDS`.
    """
    bar = CalibrationBar()
    try:
        decoder = open_decoder(video, device=device, precision=precision, backend=backend, progress=bar)
    finally:
        bar.close()
    spec = decoder.spec
    clip = f"{spec.frame_count} frames of {spec.width}x{spec.height}"
    _LOG.info("decoding %s on %s in %s by %s", clip, decoder.device, decoder.precision, decoder.backend)
    if decoder.backend_note:
        _LOG.info("%s", decoder.backend_note)
    return decoder
