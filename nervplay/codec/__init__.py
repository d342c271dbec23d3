"""Networks to bytes and back: quantise, pack, unpack, and official checkpoints (`nervplay.codec.official`)."""

from nervplay.bitstream.precision import Precision
from nervplay.codec.pack import pack, quantise_model
from nervplay.codec.quantise import quantise
from nervplay.codec.unpack import NeuralVideo, open_nerv, unpack

__all__ = ["NeuralVideo", "Precision", "open_nerv", "pack", "quantise", "quantise_model", "unpack"]
