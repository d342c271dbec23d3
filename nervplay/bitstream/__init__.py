"""The .nerv file: layout, reader, writer and entropy coder. Bytes only; nothing here loads torch.

docs/spec/nerv-format.md describes the format; `layout.py` is the place to begin.
"""

from nervplay.bitstream.atomic import atomic_write, clear_leftovers, folder_beside, replacing
from nervplay.bitstream.late import stored
from nervplay.bitstream.layout import FORMAT, VERSION, Audio, Chunk, NervFile, QuantisedTensor, Segment, weights_sha256
from nervplay.bitstream.reader import NervHeader, peek_nerv, read_audio, read_nerv, verify_nerv
from nervplay.bitstream.writer import encode_nerv, write_nerv

__all__ = [
    "FORMAT",
    "VERSION",
    "Audio",
    "Chunk",
    "NervFile",
    "NervHeader",
    "QuantisedTensor",
    "Segment",
    "atomic_write",
    "clear_leftovers",
    "encode_nerv",
    "folder_beside",
    "peek_nerv",
    "read_audio",
    "read_nerv",
    "replacing",
    "stored",
    "verify_nerv",
    "weights_sha256",
    "write_nerv",
]
