"""Neural video as a clip of VapourSynth, where that is installed: R81 or newer, `pip install nervplay[vapoursynth]`.

import vapoursynth, nervplay.vapoursynth
nervplay.vapoursynth.source("clip.nerv", pix_fmt="yuv420p10le").set_output()
"""

import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from nervplay.errors import CapabilityError, GeometryError, UnknownNameError
from nervplay.video.code_points import MATRIX_CODES, PRIMARIES_CODES, TRANSFER_CODES, code
from nervplay.video.source import PlanarSource

__all__ = ["source"]

_FORMATS = {"yuv420p": "YUV420P8", "yuv444p": "YUV444P8", "yuv420p10le": "YUV420P10", "yuv444p10le": "YUV444P10"}


def source(
    video: str | Path | PlanarSource, *, pix_fmt: str = "yuv420p", device: str = "auto", precision: str = "fp32"
) -> Any:
    """Return a neural video as a `vapoursynth.VideoNode`: exact frames in any order, rate and colour properties.

    The decoder fills the planes of VapourSynth's frames; it stays open as long as the node lives.

    Args:
        video: a .nerv file, or whatever fills planes of samples; used by the node alone from now on.
        pix_fmt: yuv420p, yuv444p, yuv420p10le or yuv444p10le.
        device: "auto", "cpu", "cuda" or "cuda:N"; for a file.
        precision: one of `nervplay.decode.PRECISIONS`; for a file.

    Raises:
        CapabilityError: VapourSynth is not installed here.
        MissingInputError, BitstreamError: a file that cannot be opened.
        UnknownNameError: another pixel format, or a colour tag without a code point.
        GeometryError: odd sides where the format halves them.
    """
    if pix_fmt not in _FORMATS:
        raise UnknownNameError("pixel format", pix_fmt, _FORMATS)
    try:
        vs = import_module("vapoursynth")
    except ImportError as error:
        raise CapabilityError(f"no VapourSynth here ({error}); pip install vapoursynth, Python 3.12 or newer") from None
    if isinstance(video, str | Path):
        from nervplay.decode import open_decoder  # noqa: PLC0415 - loads torch, which sources of one's own do not need

        video = open_decoder(video, device=device, precision=precision)
    clip, spec = video, video.spec
    if "420" in pix_fmt and (spec.width % 2 or spec.height % 2):
        raise GeometryError(f"frames of {spec.width}x{spec.height} cannot be {pix_fmt}; take yuv444p")
    colour, aspect = spec.colour, spec.sample_aspect
    properties = {
        "_Matrix": code("colour matrix", colour.matrix, MATRIX_CODES),
        "_Primaries": code("colour primaries", colour.primaries, PRIMARIES_CODES),
        "_Transfer": code("colour transfer", colour.transfer, TRANSFER_CODES),
        "_Range": int(colour.range == "pc"),
        "_SARNum": aspect.numerator,
        "_SARDen": aspect.denominator,
    }
    blank = vs.core.std.BlankClip(
        format=getattr(vs, _FORMATS[pix_fmt]),
        width=spec.width,
        height=spec.height,
        length=len(clip),
        fpsnum=spec.rate.numerator,
        fpsden=spec.rate.denominator,
        keep=True,
    ).std.SetFrameProps(**properties)
    one_at_a_time = threading.Lock()

    def fill(n: int, f: Any) -> Any:
        frame = f.copy()
        y, u, v = (np.asarray(frame[plane]) for plane in range(3))
        with one_at_a_time:
            clip.yuv_frame(n, (y, u, v))
        return frame

    return blank.std.ModifyFrame(blank, fill)
