"""A file that brings its own calibration, so that the first "int8" of another machine has nothing to find out.

Of W8A16 it carries how large inputs get; of W8A8 units, zeros and corrected biases: a few bytes per channel. Weights
that were rounded with their inputs in view (`reconstruct.round_weights`) are other ones than the file's and would be
half as large as these, so here each is rounded by itself: nothing of it need be stored, and that costs W8A8 some tenths
of a dB against float32. Which convolutions stay in integers is found with just these.
"""

from dataclasses import replace
from typing import Final

from nervplay.bitstream import Chunk, NervFile, weights_sha256
from nervplay.bitstream.calibration import encode_calibration
from nervplay.bitstream.sections import calibration_section, is_calibration
from nervplay.codec import NeuralVideo
from nervplay.decode.calibration import Progress
from nervplay.decode.cuda.decoder import CudaDecoder
from nervplay.decode.native_decoder import RECORD as W8A16
from nervplay.decode.native_decoder import NativeDecoder
from nervplay.decode.opening import open_decoder
from nervplay.decode.prepared import PreparedDecoder
from nervplay.decode.w8a8 import RECORD as W8A8
from nervplay.errors import CapabilityError

__all__ = ["with_calibration", "without_calibration"]

_BACKENDS: Final = (("native", W8A16), ("cuda", W8A8), ("openvino", W8A8))
"""Those that calibrate, and what it is called; of two that share it the first one that is here does it."""


def without_calibration(file: NervFile) -> NervFile:
    """Return a file as it is without what it carries of calibrations."""
    return replace(file, extras={name: chunk for name, chunk in file.extras.items() if not is_calibration(name)})


def with_calibration(video: NeuralVideo, *, threads: int | None = None, progress: Progress | None = None) -> NervFile:
    """Return the file of a video with calibrations of all segments, for all integer arithmetic that is here.

    Args:
        video: what to calibrate.
        threads: processor cores to use; None for all.
        progress: told how far one of several calibrations is; see `open_decoder`.

    Raises:
        CapabilityError: nothing here computes this network in integers.
    """
    chunks: dict[str, Chunk] = {}
    for number, segment in enumerate(video.file.segments):
        part = video.segment(number)
        records: dict[str, bytes] = {}
        reasons = []
        for backend, name in _BACKENDS:
            if name in records:
                continue
            try:
                records.update(_record(part, backend, name, threads, progress))
            except CapabilityError as error:
                reasons.append(str(error))
        if not records:
            raise CapabilityError(f"there is nothing to calibrate here: {reasons[0]}")
        chunks[calibration_section(number)] = Chunk(encode_calibration(weights_sha256((segment,)), records))
    bare = without_calibration(video.file)
    return replace(bare, extras={**bare.extras, **chunks})


def _record(
    part: NeuralVideo, backend: str, name: str, threads: int | None, progress: Progress | None
) -> dict[str, bytes]:
    """Return the record of a backend by its name, which is `name` unless the network has one of its own.

    Raises:
        CapabilityError: it is not here, or cannot run this network in integers.
    """
    with open_decoder(part, backend=backend, threads=threads, progress=progress) as decoder:
        assert isinstance(decoder, PreparedDecoder | CudaDecoder), "these backends are no other"
        record = decoder.calibration_record()
        return {decoder.record if isinstance(decoder, NativeDecoder) else name: record}
