"""Frames of a neural video by index: `open_decoder` and the `Decoder` contract."""

from nervplay.decode.decoder import PRECISIONS, Decoder
from nervplay.decode.native_decoder import NativeDecoder
from nervplay.decode.opening import BACKENDS, open_decoder
from nervplay.decode.torch_decoder import TorchDecoder, resolve_device
from nervplay.decode.torch_fast import TorchFastDecoder

__all__ = [
    "BACKENDS",
    "PRECISIONS",
    "Decoder",
    "NativeDecoder",
    "TorchDecoder",
    "TorchFastDecoder",
    "open_decoder",
    "resolve_device",
]
