"""Which encoder, pixel format and options an export gets: by what was asked for, what it holds, and what opens here."""

from dataclasses import dataclass

from ffmpeg_bridge.encoder import check_encoder
from ffmpeg_bridge.frames import FrameConverter, check_geometry
from ffmpeg_bridge.rgb_frames import RGB_FORMATS, RgbConverter
from ffmpeg_bridge.targets import Target
from nervplay.choices import PIXEL_FORMATS
from nervplay.errors import CapabilityError, UnknownNameError, UsageError
from nervplay.video.spec import VideoSpec

__all__ = ["EncoderChoice", "choose_encoder"]

_SOFTWARE = {"h264_nvenc": "libx264", "hevc_nvenc": "libx265"}
"""What stands in for an encoder whose hardware is not here: the same kind of video."""

_ONLY_FORMAT = {"libx264rgb": "rgb24", "gif": "pal8", "png": "rgb24"}
_LOSSLESS: dict[str, tuple[str, dict[str, str]]] = {
    "libx264rgb": ("rgb24", {"qp": "0"}),
    "libx265": ("gbrp", {"x265-params": "lossless=1:log-level=error"}),
    "libvpx-vp9": ("gbrp", {"lossless": "1"}),
    "ffv1": ("bgr0", {"level": "3", "g": "1", "slicecrc": "1"}),
    "png": ("rgb24", {}),
}
"""Pixel format and options with which decoded frames are the encoded ones, bit for bit."""


@dataclass(frozen=True, kw_only=True)
class EncoderChoice:
    """An encoder that has opened once, and how to feed it.

    Args:
        encoder: FFmpeg's name.
        pix_fmt: pixel format that it codes.
        options: for the encoder.
        word: what the user should hear of the choice; "" for nothing.
    """

    encoder: str
    pix_fmt: str
    options: dict[str, str]
    word: str

    def converter(self, spec: VideoSpec) -> FrameConverter | RgbConverter:
        """Return what turns frames of `spec` into that pixel format, tagged."""
        if self.fed_format in RGB_FORMATS:
            return RgbConverter(spec.colour, self.fed_format)
        return FrameConverter(spec.colour, self.pix_fmt)

    @property
    def fed_format(self) -> str:
        """The pixel format that frames are converted to; colours of a palette are chosen later, from RGB."""
        return "rgb24" if self.pix_fmt == "pal8" else self.pix_fmt


def choose_encoder(
    target: Target,
    spec: VideoSpec,
    *,
    encoder: str | None = None,
    crf: float | None = None,
    preset: str | None = None,
    pix_fmt: str | None = None,
    lossless: bool = False,
) -> EncoderChoice:
    """Return the encoder for an export, opened once to know that it works.

    Args:
        target: what is written.
        spec: the frames.
        encoder: FFmpeg's name, or "auto" for the best one that opens; None for the target's usual one. An NVENC encoder
            that does not open is replaced by the software encoder of the same kind, with a word.
        crf: quality, smaller is better; None for the usual one.
        preset: speed in the encoder's own words.
        pix_fmt: None for yuv420p, or what the encoder needs.
        lossless: the frames must come back bit for bit.

    Raises:
        CapabilityError: nothing suitable opens here.
        UsageError, UnknownNameError, GeometryError: something that encoder, pixel format or target do not take.
    """
    if lossless and crf is not None:
        raise UsageError(f"--crf {crf:g} and --lossless contradict each other; leave one out")
    usual = target.lossless if lossless else target.encoder
    names = target.automatic if encoder == "auto" and not lossless else (_named(encoder) or usual,)
    if not all(names):
        raise UsageError(f"{target.container} cannot hold frames without loss; write .mkv, .mp4, .mov, .webm or .png")
    if len(names) == 1 and names[0] in _SOFTWARE:
        names = (names[0], _SOFTWARE[names[0]])
    missing: list[str] = []
    for place, name in enumerate(names):
        chosen_format, extra = _wanted(name, pix_fmt, lossless=lossless)
        _check_format(spec, chosen_format)
        try:
            options = check_encoder(name, spec, chosen_format, crf, _preset(name, preset, names), extra=extra)
        except CapabilityError:
            if place + 1 == len(names):
                raise
            missing.append(name)
            continue
        word = f"{' and '.join(missing)} does not open here; {name} is used instead" if missing else ""
        return EncoderChoice(encoder=name, pix_fmt=chosen_format, options=options, word=word)
    raise AssertionError(names)


def _named(encoder: str | None) -> str | None:
    """Return an encoder's name; None where the target chooses."""
    return None if encoder == "auto" else encoder


def _preset(name: str, preset: str | None, names: tuple[str, ...]) -> str | None:
    """Return the preset for one of several encoders: words meant for the first one are lost on those after it."""
    foreign = name != names[0] and preset is not None and preset.startswith("p") and preset[1:].isdigit()
    return None if foreign else preset


def _wanted(name: str, pix_fmt: str | None, *, lossless: bool) -> tuple[str, dict[str, str]]:
    """Return the pixel format and further options of an encoder."""
    if not lossless:
        return pix_fmt or _ONLY_FORMAT.get(name, "yuv420p"), {}
    if name not in _LOSSLESS:
        raise UsageError(
            f"{name} cannot return RGB frames bit for bit; for --lossless take one of {', '.join(_LOSSLESS)}"
        )
    needed, options = _LOSSLESS[name]
    if pix_fmt not in (None, needed):
        raise UsageError(f"--lossless with {name} needs --pix-fmt {needed}; {pix_fmt} does not keep RGB frames")
    return needed, options


def _check_format(spec: VideoSpec, pix_fmt: str) -> None:
    """Raise unless frames can be converted to a pixel format."""
    if pix_fmt in RGB_FORMATS or pix_fmt == "pal8":
        return
    if pix_fmt not in PIXEL_FORMATS:
        raise UnknownNameError("pixel format", pix_fmt, (*PIXEL_FORMATS, *RGB_FORMATS))
    check_geometry(spec, pix_fmt)
