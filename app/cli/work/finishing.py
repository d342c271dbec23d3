"""The last step of a file that was made here: what was measured of it goes into it, and what int8 needs."""

from dataclasses import replace
from pathlib import Path

from app.cli.output import note
from app.cli.words import human_bytes
from app.cli.work.decoding import CalibrationBar
from nervplay.bitstream import NervFile, encode_nerv, write_nerv
from nervplay.codec import NeuralVideo, open_nerv
from nervplay.decode.loss import retold
from nervplay.decode.portable import with_calibration
from nervplay.errors import CapabilityError

__all__ = ["calibrated", "finish"]


def finish(
    target: Path, file: NervFile, *, psnr_db: float | None, calibrate: bool = False, most_bytes: int | None = None
) -> int:
    """Write a file again with its PSNR, and with a calibration; return its size in bytes.

    Args:
        target: where `file` has been written already, so that what goes wrong here costs nothing.
        file: what it holds.
        psnr_db: of what it decodes to, against the source; None where nobody knows.
        calibrate: whether it is to bring what its integer products need.
        most_bytes: a calibration that would make it larger is left out.

    Raises:
        OutputError: it cannot be written.
        KeyboardInterrupt: Ctrl-C; the target is as it was, or has its PSNR already.
    """
    file = replace(file, recipe=retold(file.recipe, psnr_db))
    size = write_nerv(target, file, overwrite=True)
    if not calibrate:
        return size
    complete = calibrated(open_nerv(target))
    if complete is None:
        return size
    added = len(encode_nerv(complete)) - size
    if most_bytes is not None and size + added > most_bytes:
        note(f"the calibration of int8 was left out: with its {human_bytes(added)} the file is over the limit")
        return size
    note(f"with the calibration of int8: {human_bytes(added)}")
    return write_nerv(target, complete, overwrite=True)


def calibrated(video: NeuralVideo) -> NervFile | None:
    """Return the file of a video with its calibration, found with a bar on stderr; None, and why, where there is none.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    bar = CalibrationBar()
    try:
        return with_calibration(video, progress=bar)
    except CapabilityError as error:
        note(str(error))
        return None
    finally:
        bar.close()
