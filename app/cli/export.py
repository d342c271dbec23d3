"""`nervplay export`: an ordinary video file of a .nerv, alone or beside its source, with sound."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from app.cli.command import command as nervplay_command
from app.cli.decoding import open_logged
from app.cli.options import (
    NERV,
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
from ffmpeg_bridge.audio import extract_audio
from ffmpeg_bridge.export import EXPORT_SUFFIXES, export_video
from nervplay.bitstream import Audio, NervFile
from nervplay.codec import open_nerv
from nervplay.errors import UsageError
from nervplay.video import FrameSource, SideBySideSource
from nervplay.video.compose import LAYOUTS

__all__ = ["command", "export_progress", "sound_for"]


@nervplay_command(
    "export",
    examples=(
        "nervplay export clip.nerv clip.mp4",
        "nervplay export clip.nerv compare.mp4 --side-by-side source.mp4 --crf 16",
    ),
    codes=(2, 3, 4, 6),
)
@click.argument("file", type=NERV)
@click.argument("target", type=TARGET, metavar="OUT.mp4")
@click.option("--side-by-side", "beside", type=SOURCE, metavar="SRC", help="Show the source beside it, labelled.")
@click.option("--layout", metavar="|".join(LAYOUTS), help="How --side-by-side shows the two; default: side-by-side.")
@click.option("--encoder", default="libx264", show_default=True, metavar="NAME", help="FFmpeg's name of an encoder.")
@click.option("--crf", type=float, metavar="N", help="Quality in the encoder's own scale; smaller is better.")
@click.option("--preset", metavar="NAME", help="Speed in the encoder's own words.")
@click.option("--pix-fmt", default="yuv420p", show_default=True, metavar="FORMAT", help="FFmpeg's name.")
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
    encoder: str,
    crf: float | None,
    preset: str | None,
    pix_fmt: str,
    audio_from: Path | None,
    audio: str,
    device: str,
    precision: str,
    overwrite: bool,
) -> None:
    """Write FILE as a video that every player shows: MP4, MOV or MKV by the ending of OUT.

    Sound is copied, not recoded: that of FILE, else that of --audio-from, else that of --side-by-side. Colour is
    converted and tagged as the file says. Frames of odd size need --pix-fmt yuv444p.
    """
    check_suffix(target, *EXPORT_SUFFIXES)
    check_target(target, overwrite=overwrite)
    if layout is not None and beside is None:
        raise UsageError(f"--layout {layout} needs a second clip; give --side-by-side SRC")
    video = open_nerv(file)
    sound = sound_for(video.file, [audio_from, beside]) if audio == "copy" else None
    with open_logged(video, device=device, precision=precision) as decoder:
        shown: FrameSource = decoder
        if beside is not None:
            original = open_original(beside, video.file.source, video.spec)
            labels = (video.architecture, "source")
            shown = SideBySideSource(decoder, original, labels, layout=layout or "side-by-side")
        with shown, export_progress(len(shown)) as show:
            report = export_video(
                shown,
                target,
                audio=sound,
                encoder=encoder,
                crf=crf,
                preset=preset,
                pix_fmt=pix_fmt,
                overwrite=overwrite,
                progress=show,
            )
    words = f"{report.frame_count} frames, {float(report.duration):.2f} s, {report.encoder} {report.pix_fmt}"
    note(f"{target}: {human_bytes(report.size)}, {words}, sound: {report.audio or 'none'}")


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
