"""Opening decoders, and what -v says about them."""

import logging
from pathlib import Path

from nervplay.codec import NeuralVideo
from nervplay.decode import Decoder, open_decoder

__all__ = ["open_logged"]

_LOG = logging.getLogger(__name__)


def open_logged(video: NeuralVideo | Path, *, device: str, precision: str = "fp32", backend: str = "auto") -> Decoder:
    """Open a decoder as `nervplay.decode.open_decoder` does, and log what it decodes and where.

    Args:
        video: an opened video, or the path of a .nerv file.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: one of `nervplay.decode.PRECISIONS`.
        backend: one of `nervplay.decode.BACKENDS`.
    """
    decoder = open_decoder(video, device=device, precision=precision, backend=backend)
    spec = decoder.spec
    clip = f"{spec.frame_count} frames of {spec.width}x{spec.height}"
    _LOG.info("decoding %s on %s in %s by %s", clip, decoder.device, decoder.precision, decoder.backend)
    if decoder.backend_note:
        _LOG.info("%s", decoder.backend_note)
    return decoder
