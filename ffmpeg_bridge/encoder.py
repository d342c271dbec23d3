"""Video encoders: open one with its options, or say which ones of this machine would."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from ffmpeg_bridge.frames import set_colour_tags
from ffmpeg_bridge.rgb_frames import stored_colour
from nervplay.choices import EXPORT_CRF
from nervplay.errors import CapabilityError, UnknownNameError, UsageError
from nervplay.video.spec import VideoSpec

__all__ = ["add_video_stream", "check_encoder"]

_USUAL = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "h264_nvenc", "hevc_nvenc", "h264_qsv", "h264_amf")
_X26X = ("libx264", "libx264rgb", "libx265")
_NVENC = ("h264_nvenc", "hevc_nvenc")
_X26X_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo",
)  # fmt: skip
_ALWAYS = {
    "libx265": {"x265-params": "log-level=error"},
    "libvpx-vp9": {"b": "0", "row-mt": "1"},  # without a bit rate of 0 the quality is only a bound
}


def check_encoder(
    encoder: str,
    spec: VideoSpec,
    pix_fmt: str,
    crf: float | None,
    preset: str | None,
    *,
    extra: dict[str, str] | None = None,
) -> dict[str, str]:
    """Return the options for an encoder after it has opened with them once.

    A name in FFmpeg's list proves nothing: hardware encoders are listed on machines without the hardware.

    Args:
        encoder: FFmpeg's name.
        spec: size and rate of the frames.
        pix_fmt: their pixel format.
        crf: quality in the encoder's own scale, smaller is better; None for the usual one.
        preset: speed in the encoder's own words; None for its default.
        extra: further options; with them there is no usual quality.

    Raises:
        CapabilityError: no such encoder here, or it does not open; names those that do.
        UsageError: an option or pixel format that it does not take.
    """
    context = _context(encoder, spec, pix_fmt)
    formats = [pixels.name for pixels in context.codec.video_formats or ()]
    if formats and pix_fmt not in formats:
        raise UsageError(f"{encoder} does not take {pix_fmt}; it takes {', '.join(formats)}")
    crf = _usual_crf(encoder) if crf is None and not extra else crf
    _check_crf(encoder, crf)
    options = {name: f"{value:g}" for name, value in (("crf", crf),) if value is not None}
    if preset is not None:
        options["preset"] = preset
    known = {option.name for option in context.supported_options.private}
    known |= {"crf"} if encoder in _NVENC else set()
    for name, value in options.items():
        if name not in known:
            raise UsageError(f"{encoder} has no option {name}, given as {value}; leave --{name} out")
    if preset is not None and encoder in _X26X and preset not in _X26X_PRESETS:
        raise UnknownNameError("preset", preset, _X26X_PRESETS)
    if encoder in _NVENC and "crf" in options:
        options |= {"rc": "vbr", "cq": options.pop("crf")}
    options |= _ALWAYS.get(encoder, {}) | (extra or {})
    if _opens(encoder, spec, pix_fmt, options):
        return options
    if _opens(encoder, spec, pix_fmt, {}):
        given = " ".join(f"--{name} {value}" for name, value in options.items() if name in ("crf", "preset"))
        raise UsageError(f"{encoder} does not accept {given}; see ffmpeg -h encoder={encoder} for what it accepts")
    raise CapabilityError(f"encoder {encoder} does not open here for {_what(spec)}; {_alternatives(spec, pix_fmt)}")


def _usual_crf(encoder: str) -> float | None:
    """Return what an export takes unless told; None for an encoder that has no such scale, or one of its own."""
    return EXPORT_CRF[encoder].usual if encoder in EXPORT_CRF else None


def _check_crf(encoder: str, crf: float | None) -> None:
    """Raise `UsageError` for a quality outside the scale, which x264 and x265 would bend without a word."""
    if crf is not None and encoder in EXPORT_CRF and not 0 <= crf <= EXPORT_CRF[encoder].most:
        worst = EXPORT_CRF[encoder].most
        raise UsageError(f"{encoder} has no --crf {crf:g}; its scale goes from 0, the best, to {worst}")


def add_video_stream(
    output: OutputContainer,
    encoder: str,
    spec: VideoSpec,
    pix_fmt: str,
    options: dict[str, str],
    *,
    tick: Fraction | None = None,
) -> VideoStream:
    """Add the video stream of a clip, its encoder open: size, rate, sample aspect, all four colour tags.

    Args:
        output: where to; nothing has been written to it yet.
        encoder: FFmpeg's name, checked by `check_encoder`.
        spec: what is encoded.
        pix_fmt: its pixel format.
        options: from `check_encoder`.
        tick: seconds per unit of the frames' time stamps; None for one frame.

    Raises:
        UsageError: the container cannot hold what the encoder makes.
    """
    try:
        stream = output.add_stream(encoder, rate=spec.rate, options=options)
    except ValueError as error:
        raise UsageError(f"{output.format.name} cannot hold what {encoder} makes; write .mkv instead") from error
    assert isinstance(stream, VideoStream)
    _configure(stream.codec_context, spec, pix_fmt)
    set_colour_tags(stream.codec_context, stored_colour(spec.colour, pix_fmt))
    stream.time_base = stream.codec_context.time_base = tick or 1 / spec.rate
    if output.format.name in ("mp4", "mov") and stream.codec_context.codec.canonical_name == "hevc":
        stream.codec_context.codec_tag = "hvc1"  # Apple's players do not open the other form, hev1
    with _priority_kept():
        stream.codec_context.open()
    return stream


@contextmanager
def _priority_kept() -> Iterator[None]:
    """Take back what opening an encoder does to the priority of this thread, and of those that it started meanwhile.

    Opened by root on Linux, SVT-AV1 makes the thread a real-time one of the highest priority. So would be all threads
    and processes that it starts from then on, and nothing else would run on the machine while they work.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    before, policy, parameters = _threads(), os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            for thread in (0, *_threads() - before):
                with suppress(OSError):  # it may have ended
                    os.sched_setscheduler(thread, policy, parameters)


def _threads() -> set[int]:
    """Return the threads of this process, by Linux's numbers."""
    folder = Path("/proc/self/task")
    return {int(thread.name) for thread in folder.iterdir()} if folder.is_dir() else set()


def _configure(context: VideoCodecContext, spec: VideoSpec, pix_fmt: str) -> None:
    """Set geometry, time and threads."""
    context.width, context.height, context.pix_fmt = spec.width, spec.height, pix_fmt
    context.framerate, context.time_base = spec.rate, 1 / spec.rate
    context.sample_aspect_ratio = spec.sample_aspect
    context.thread_count = 0  # one per core


def _context(encoder: str, spec: VideoSpec, pix_fmt: str) -> VideoCodecContext:
    """Return an encoder that is not open yet."""
    try:
        context = av.CodecContext.create(encoder, "w")
    except ValueError as error:  # PyAV's UnknownCodecError
        raise CapabilityError(f"no encoder '{encoder}' here; {_alternatives(spec, pix_fmt)}") from error
    if not isinstance(context, VideoCodecContext):
        raise UsageError(f"{encoder} does not encode video; {_alternatives(spec, pix_fmt)}")
    _configure(context, spec, pix_fmt)
    return context


def _opens(encoder: str, spec: VideoSpec, pix_fmt: str, options: dict[str, str]) -> bool:
    """Return whether an encoder opens with these options."""
    os.environ.setdefault("SVT_LOG", "1")  # errors only; SVT-AV1 writes to stderr past FFmpeg's log
    try:
        context = av.CodecContext.create(encoder, "w")
        assert isinstance(context, VideoCodecContext)
        _configure(context, spec, pix_fmt)
        context.options = _ALWAYS.get(encoder, {}) | options
        with _priority_kept():
            context.open()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _alternatives(spec: VideoSpec, pix_fmt: str) -> str:
    """Return the words for the usual encoders that open here."""
    names = [name for name in _USUAL if _opens(name, spec, pix_fmt, {})]
    return f"these open: {', '.join(names)}" if names else "none of the usual encoders opens either"


def _what(spec: VideoSpec) -> str:
    return f"{spec.width}x{spec.height} at {spec.rate} frames per second"
