"""What `nervplay pipe` does: frames on standard output."""

import logging
import shlex
import sys
from pathlib import Path

from app.cli.work.decoding import open_logged
from ffmpeg_bridge.pipe import SOUND_CARRIERS, input_options, write_pipe
from ffmpeg_bridge.raw import default_raw_format
from nervplay.codec import open_nerv

__all__ = ["pipe"]

_LOG = logging.getLogger(__name__)


def pipe(file: Path, carrier: str, pix_fmt: str | None, *, sound: bool, device: str, precision: str) -> None:
    """Write the frames of a file to standard output.

    Args:
        file: the .nerv file.
        carrier: one of `nervplay.choices.CARRIERS`.
        pix_fmt: one of `nervplay.choices.RAW_FORMATS`; None for the usual one of its frames.
        sound: whether the file's sound goes along where the carrier takes some.
        device: where the network runs.
        precision: arithmetic of the decoder.
    """
    video = open_nerv(file)
    carried = video.file.audio if sound and carrier in SOUND_CARRIERS else None
    pix_fmt = pix_fmt or default_raw_format(video.spec)
    _LOG.info("read it with: ffmpeg %s", shlex.join([*input_options(video.spec, carrier, pix_fmt), "-i", "-"]))
    with open_logged(video, device=device, precision=precision) as decoder:
        write_pipe(sys.stdout.buffer, decoder, carrier, pix_fmt, carried)
