"""Frames of a neural video by index: `open_decoder` and the `Decoder` contract."""

from nervplay.choices import BACKENDS, GPU_PRECISIONS, PRECISIONS
from nervplay.decode.cuda.decoder import CudaDecoder
from nervplay.decode.decoder import Decoder
from nervplay.decode.native_decoder import NativeDecoder
from nervplay.decode.opening import open_decoder
from nervplay.decode.openvino import OpenvinoDecoder
from nervplay.decode.torch_decoder import TorchDecoder, resolve_device
from nervplay.decode.torch_fast import TorchFastDecoder

__all__ = [
    "BACKENDS",
    "GPU_PRECISIONS",
    "PRECISIONS",
    "CudaDecoder",
    "Decoder",
    "NativeDecoder",
    "OpenvinoDecoder",
    "TorchDecoder",
    "TorchFastDecoder",
    "open_decoder",
    "resolve_device",
]
