"""Frames of a neural video by index: `open_decoder` and the `Decoder` contract."""

from nervplay.decode.decoder import PRECISIONS, Decoder
from nervplay.decode.torch_decoder import TorchDecoder, open_decoder, resolve_device

__all__ = ["PRECISIONS", "Decoder", "TorchDecoder", "open_decoder", "resolve_device"]
