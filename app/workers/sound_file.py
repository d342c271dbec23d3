"""The sound of a clip as samples. Imported when sound is loaded: FFmpeg's libraries would hold up the window."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from app.core.clips import sound_span
from app.core.sound import RATE, Samples
from ffmpeg_bridge.audio import audio_packets, extract_audio
from nervplay.bitstream import Audio, read_audio
from nervplay.errors import NervplayError
from nervplay.video import VideoSpec

__all__ = ["decode_sound", "read_sound"]


def read_sound(path: Path, *, neural: bool, record: Mapping[str, Any], like: VideoSpec | None) -> Samples | None:
    """Return the sound of a file, int16 (N, 2) at 48 kHz; None where there is none that can be read.

    Args:
        path: a .nerv file, or a clip.
        neural: whether it is a .nerv file.
        record: of a clip beside a neural video, the `source` of that video's file: which part of the clip it is.
        like: the neural video that the clip is beside; None for all of its sound.
    """
    try:
        if neural:
            audio = read_audio(path)
        else:
            audio = extract_audio(path, *(sound_span(path, record, like) if like is not None else ()))
        return decode_sound(audio) if audio is not None else None
    except (NervplayError, av.FFmpegError):
        return None  # a clip without sound that can be read is a silent clip


def decode_sound(audio: Audio) -> Samples:
    """Return sound as int16 (N, 2) at 48 kHz; time 0 is the clip's first frame.

    Args:
        audio: packets as a .nerv file has them.

    Raises:
        BitstreamError: no sound that can be read.
    """
    parts: list[Samples] = []
    first: Fraction | None = None
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=RATE)
    with audio_packets(audio) as (stream, packets):
        for packet in packets:
            for frame in packet.decode():
                if first is None and frame.pts is not None and frame.time_base is not None:
                    first = frame.pts * frame.time_base
                parts += [_plain(part) for part in resampler.resample(frame)]
        parts += [_plain(part) for part in resampler.resample(None)]
        del stream
    samples = np.concatenate(parts) if parts else np.zeros((0, 2), np.int16)
    shift = round((first or Fraction(0)) * RATE)
    return samples[-shift:] if shift < 0 else np.concatenate([np.zeros((shift, 2), np.int16), samples])


def _plain(frame: av.AudioFrame) -> Samples:
    return np.asarray(frame.to_ndarray(), dtype=np.int16).reshape(-1, 2)
