r"""Text for FFmpeg's filter graphs that nobody wants to type: names quoted at three levels, and the colours put right.

What FFmpeg takes apart, from the inside out (a shell is a fourth level, for `shlex.quote`):

    1  the parameters of a plug-in   p|q                special: \ ' |   and blanks at the ends
    2  the options of a filter       key=value:key=value         \ ' :
    3  the graph                     filter,filter;[pad]         \ ' [ ] , ;
"""

import re
from dataclasses import replace

from ffmpeg_bridge.raw import default_raw_format
from nervplay.errors import UsageError
from nervplay.video.spec import Colour, VideoSpec

__all__ = ["compare_graph", "parameters", "source_graph"]


def parameters(*values: str) -> str:
    """Return values as `filter_params` of frei0r in a filter graph.

    Raises:
        UsageError: a value with a NUL, which no program can be given.
    """
    for value in values:
        if "\0" in value:
            raise UsageError(f"{value!r} holds a NUL, which no file name can; check the name")
    inner = "|".join(_escaped(value, "|") for value in values)
    return _escaped(_escaped(inner, ":"), "[],;")


def source_graph(spec: VideoSpec, name: str, *, options: str = "strict", size: tuple[int, int] | None = None) -> str:
    """Return the graph for `-filter_complex` that shows a neural video from start to end.

    It works for `-f lavfi -i`, too, where FFmpeg before 6 loses the colour tags.

    Args:
        spec: the clip.
        name: the .nerv file as the plug-in is to open it; an absolute path works from everywhere.
        options: see docs/guides/ffmpeg.md; with any option given, FFmpeg stops where the file cannot be opened.
        size: (width, height) to scale to; that of the clip when None.
    """
    width, height = size or (spec.width, spec.height)
    rate = f"{spec.rate.numerator}/{spec.rate.denominator}"
    pix_fmt = default_raw_format(replace(spec, width=width, height=height))
    plugin = (
        f"frei0r_src=size={width}x{height}:framerate={rate}:filter_name=nerv:filter_params={parameters(name, options)}"
    )
    return f"{plugin},trim=end_frame={spec.frame_count},{_conversion(spec.colour, pix_fmt)}"


def compare_graph(
    spec: VideoSpec, name: str, *, options: str = "strict", mode: str = "wipe", split: float = 0.5
) -> str:
    """Return the graph for `-vf` that shows its input against a neural video, frame by frame.

    Args:
        spec: the clip; its colour is that of the result.
        name: the .nerv file, as in `source_graph`.
        options: as in `source_graph`.
        mode: "wipe" (input left, neural right), "difference" (times 4) or "neural".
        split: where the wipe stands, 0 to 1.

    Raises:
        UsageError: another mode, or a split outside 0 to 1.
    """
    modes = {"wipe": "0", "difference": "0.5", "neural": "1"}
    if mode not in modes or not 0 <= split <= 1:
        raise UsageError(f"mode '{mode}' with split {split}: the mode is one of {', '.join(modes)}, the split 0 to 1")
    values = parameters(name, options, modes[mode], f"{split:g}")
    return f"frei0r=filter_name=nervcmp:filter_params={values},{_conversion(spec.colour, default_raw_format(spec))}"


def _conversion(colour: Colour, pix_fmt: str) -> str:
    """Return the filters that convert RGBA by the right matrix and tag the result; left alone, FFmpeg takes BT.601."""
    matrix = {"bt2020nc": "bt2020"}.get(colour.matrix, colour.matrix)
    tags = f"range={colour.range}:colorspace={colour.matrix}"
    tags += f":color_primaries={colour.primaries}:color_trc={colour.transfer}"
    return f"scale=out_color_matrix={matrix}:out_range={colour.range},format={pix_fmt},setparams={tags}"


def _escaped(text: str, special: str) -> str:
    """Return a text with a backslash before what is special at a level, and before blanks at its ends."""
    text = re.sub(r"([\\'" + re.escape(special) + "])", r"\\\1", text)
    if text[:1].isspace():
        text = "\\" + text
    if text[-1:].isspace():
        text = text[:-1] + "\\" + text[-1]
    return text
