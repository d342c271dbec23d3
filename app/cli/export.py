"""`nervplay export`: an ordinary video file of a .nerv, alone or beside its source, with sound."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import click

from app.cli.command import command as nervplay_command
from app.cli.decoding import open_logged
from app.cli.options import (
    NERV,
    SIZE,
    SOURCE,
    TARGET,
    audio_option,
    check_suffix,
    check_target,
    device_option,
    overwrite_option,
    precision_option,
)
from app.cli.output import note, progress
from app.cli.words import human_bytes
from app.core.clips import open_original, sound_span
from ffmpeg_bridge.audio import cut_audio, extract_audio
from ffmpeg_bridge.export import EXPORT_SUFFIXES, export_video
from nervplay.bitstream import Audio, NervFile
from nervplay.codec import NeuralVideo, open_nerv
from nervplay.decode import Decoder
from nervplay.errors import UsageError
from nervplay.metrics import psnr
from nervplay.video import (
    Frame,
    FrameSource,
    FrameTransform,
    SideBySideSource,
    parse_range,
    parse_rate,
    retimed,
)
from nervplay.video.compose import LAYOUTS

__all__ = ["command", "export_progress", "sound_for"]


@nervplay_command(
    "export",
    examples=(
        "nervplay export clip.nerv clip.mp4",
        "nervplay export clip.nerv compare.mp4 --side-by-side source.mp4 --layout wipe --burn-psnr",
        "nervplay export clip.nerv part.webm --range 25:75 --scale 640x360 --audio none",
        "nervplay export clip.nerv frames_%05d.png --filter 'eq=contrast=1.2'",
    ),
    codes=(2, 3, 4, 6),
)
@click.argument("file", type=NERV)
@click.argument("target", type=TARGET, metavar="OUT")
@click.option("--side-by-side", "beside", type=SOURCE, metavar="SRC", help="Show the source beside it, labelled.")
@click.option("--layout", metavar="|".join(LAYOUTS), help="How --side-by-side shows the two; default: side-by-side.")
@click.option("--labels/--no-labels", default=True, help="Name the two clips in the picture.")
@click.option("--burn-psnr", is_flag=True, help="Write number and PSNR of every frame into the picture.")
@click.option("--range", "span", metavar="A:B", help="Only frames A to B - 1.")
@click.option("--scale", type=SIZE, metavar="WxH", help="Size of the picture that is written.")
@click.option("--fps", metavar="RATE", help="Repeat or drop frames to this rate: 50, 30000/1001, 29.97.")
@click.option("--filter", "graph", metavar="GRAPH", help="A filter graph of FFmpeg for the finished picture.")
@click.option("--encoder", metavar="NAME|auto", help="FFmpeg's name; auto: the best that opens. Default: libx264.")
@click.option("--crf", type=float, metavar="N", help="Quality in the encoder's own scale; smaller is better.")
@click.option("--preset", metavar="NAME", help="Speed in the encoder's own words.")
@click.option("--pix-fmt", metavar="FORMAT", help="FFmpeg's name; default: yuv420p.")
@click.option("--lossless", is_flag=True, help="Frames come back bit for bit, as RGB.")
@click.option("--audio-from", type=SOURCE, metavar="SRC", help="Take the sound of this clip where the file has none.")
@audio_option
@device_option
@precision_option
@overwrite_option
def command(
    *,
    file: Path,
    target: Path,
    beside: Path | None,
    layout: str | None,
    labels: bool,
    burn_psnr: bool,
    span: str | None,
    scale: tuple[int, int] | None,
    fps: str | None,
    graph: str | None,
    encoder: str | None,
    crf: float | None,
    preset: str | None,
    pix_fmt: str | None,
    lossless: bool,
    audio_from: Path | None,
    audio: str,
    device: str,
    precision: str,
    overwrite: bool,
) -> None:
    """Write FILE as a video that every player shows, by the ending of OUT: .mp4 .mov .mkv .webm .gif, or PNG pictures.

    Sound is copied, not recoded: that of FILE, else that of --audio-from, else that of --side-by-side. Colour is
    converted and tagged as the file says. Frames of odd size need --pix-fmt yuv444p. Encoders: libx264, libx265,
    libsvtav1, libvpx-vp9, h264_nvenc, hevc_nvenc, ffv1, libx264rgb and whatever else FFmpeg names.
    """
    check_suffix(target, *EXPORT_SUFFIXES)
    check_target(target, overwrite=overwrite)
    for option, value in (("--layout", layout), ("--burn-psnr", burn_psnr)):
        if value and beside is None:
            raise UsageError(f"{option} needs a second clip; give --side-by-side SRC")
    rate = parse_rate(fps) if fps is not None else None
    video = open_nerv(file)
    frames = parse_range(span, video.spec.frame_count) if span is not None else None
    sound = sound_for(video.file, [audio_from, beside]) if audio == "copy" else None
    if sound is not None and frames is not None:
        sound = cut_audio(sound, frames[0] / video.spec.rate, (frames[1] - frames[0]) / video.spec.rate)
    showing = _Showing(layout=layout or "side-by-side", labels=labels, burn_psnr=burn_psnr)
    with open_logged(video, device=device, precision=precision) as decoder:
        pair = _beside(video, decoder, beside, showing) if beside is not None else decoder
        with _shaped(pair, frames, scale, rate) as shown, export_progress(len(shown)) as show:
            report = export_video(
                shown,
                target,
                audio=sound,
                encoder=encoder,
                crf=crf,
                preset=preset,
                pix_fmt=pix_fmt,
                lossless=lossless,
                filter_graph=graph,
                overwrite=overwrite,
                progress=show,
            )
    if report.word:
        note(report.word)
    words = f"{report.frame_count} frames, {float(report.duration):.2f} s, {report.encoder} {report.pix_fmt}"
    note(f"{target}: {human_bytes(report.size)}, {words}, sound: {report.audio or 'none'}")


@dataclass(frozen=True, kw_only=True)
class _Showing:
    """How two clips are shown in one picture."""

    layout: str
    labels: bool
    burn_psnr: bool


def _beside(video: NeuralVideo, decoder: Decoder, clip: Path, showing: _Showing) -> SideBySideSource:
    """Return the neural video and its original in one picture."""
    return SideBySideSource(
        decoder,
        open_original(clip, video.file.source, video.spec),
        (video.architecture, "source") if showing.labels else None,
        layout=showing.layout,
        caption=_caption if showing.burn_psnr else None,
    )


def _caption(index: int, frame: Frame, original: Frame) -> str:
    """Return number and PSNR of a frame."""
    return f"frame {index}   {psnr(frame, original):.2f} dB"


def _shaped(
    source: FrameSource, frames: tuple[int, int] | None, scale: tuple[int, int] | None, rate: Fraction | None
) -> FrameSource:
    """Return `source` cut, scaled and at another rate, each where it is asked for."""
    shaped = FrameTransform(frames=frames, scale=scale).apply(source)
    return retimed(shaped, rate) if rate is not None else shaped


def sound_for(file: NervFile, clips: list[Path | None]) -> Audio | None:
    """Return the sound of a file, else that of the first clip that has some, cut to the file's frames.

    Args:
        file: the neural video.
        clips: where to look next; None entries are skipped.

    Raises:
        VideoInputError: sound that cannot be read.
    """
    if file.audio is not None:
        return file.audio
    for clip in clips:
        if clip is not None:
            sound = extract_audio(clip, *sound_span(clip, file.source, file.video))
            if sound is not None:
                return sound
    return None


@contextmanager
def export_progress(total: int) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while the block runs; gives what `export_video` calls after every frame."""
    with progress("exporting", total, "frames") as show:
        yield lambda done, _all: show(done)
