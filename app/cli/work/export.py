"""What `nervplay export` does, and what other writers of pictures share with it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from app.cli.export import Asked
from app.cli.output import note, progress
from app.cli.words import human_bytes
from app.cli.work.decoding import open_logged
from app.core.clips import open_original, sound_span
from ffmpeg_bridge.audio import cut_audio, extract_audio
from ffmpeg_bridge.export import export_video
from nervplay.bitstream import Audio, NervFile
from nervplay.codec import NeuralVideo, open_nerv
from nervplay.decode import Decoder
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

__all__ = ["export", "export_progress", "sound_for"]


def export(asked: Asked) -> None:
    """Write the video and say what came of it."""
    rate = parse_rate(asked.fps) if asked.fps is not None else None
    video = open_nerv(asked.file)
    frames = parse_range(asked.span, video.spec.frame_count) if asked.span is not None else None
    sound = sound_for(video.file, [asked.audio_from, asked.beside]) if asked.audio == "copy" else None
    if sound is not None and frames is not None:
        sound = cut_audio(sound, frames[0] / video.spec.rate, (frames[1] - frames[0]) / video.spec.rate)
    showing = _Showing(layout=asked.layout or "side-by-side", labels=asked.labels, burn_psnr=asked.burn_psnr)
    with open_logged(video, device=asked.device, precision=asked.precision) as decoder:
        pair = _beside(video, decoder, asked.beside, showing) if asked.beside is not None else decoder
        with _shaped(pair, frames, asked.scale, rate) as shown, export_progress(len(shown)) as show:
            report = export_video(
                shown,
                asked.target,
                audio=sound,
                encoder=asked.encoder,
                crf=asked.crf,
                preset=asked.preset,
                pix_fmt=asked.pix_fmt,
                lossless=asked.lossless,
                filter_graph=asked.graph,
                overwrite=asked.overwrite,
                progress=show,
            )
    if report.word:
        note(report.word)
    words = f"{report.frame_count} frames, {float(report.duration):.2f} s, {report.encoder} {report.pix_fmt}"
    note(f"{asked.target}: {human_bytes(report.size)}, {words}, sound: {report.audio or 'none'}")


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
