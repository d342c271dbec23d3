"""What `nervplay demo` does: decoding the bundled sample, pictures, measures."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.cli.output import note, progress
from app.cli.work.decoding import open_logged
from app.cli.work.export import export_progress, sound_for
from app.cli.work.measure import emit_report, measure
from app.core import Sample
from app.core.clips import open_original
from ffmpeg_bridge.export import export_video
from nervplay.bitstream import atomic_write, replacing
from nervplay.codec import NeuralVideo, open_nerv
from nervplay.metrics import Report
from nervplay.video import ArraySource, Frame, FrameSource, SideBySideSource, contact_sheet, difference

__all__ = ["demo"]

_COLUMNS = 5
"""Frames on the contact sheet."""

_CREDIT = "Big Buck Bunny (c) Blender Foundation, CC BY 3.0"


def demo(sample: Sample, output: Path, device: str) -> None:
    """Write what the demo shows.

    Args:
        sample: a neural video and its source.
        output: the folder, which is there.
        device: where the network runs.
    """
    video = open_nerv(sample.video)
    with open_logged(video, device=device) as decoder:
        neural = _loaded(decoder, "decoding")
    with open_original(sample.clip, video.file.source, video.spec) as original:
        source = _loaded(original, "reading the source")
    report = measure(neural, source, video.file_bytes, ["psnr", "ms-ssim"])
    _write_measures(output, sample.video, report)
    _write_sheet(output / "contact-sheet.png", video, report, neural, source)
    with SideBySideSource(neural, source, ("neural", "source")) as pair, export_progress(len(pair)) as show:
        sound = sound_for(video.file, [sample.clip])
        export_video(pair, output / "side-by-side.mp4", audio=sound, overwrite=True, progress=show)
    emit_report(report)
    note(f"Look at {output / 'side-by-side.mp4'} and {output / 'contact-sheet.png'}. {_CREDIT}.")
    note("Next:")
    for line in _next_steps(sample.video):
        note(f"  {line}")


def _loaded(source: FrameSource, title: str) -> ArraySource:
    """Return all frames of a short clip in memory: they are needed for three outputs."""
    frames = np.empty((len(source), source.spec.height, source.spec.width, 3), np.uint8)
    with progress(title, len(source), "frames") as show:
        for index, frame in enumerate(source.frames()):
            frames[index] = frame
            show(index + 1)
    return ArraySource(frames, spec=source.spec)


def _write_measures(folder: Path, video: Path, report: Report) -> None:
    report.write_csv(folder / "metrics.csv", overwrite=True)
    facts: Mapping[str, Any] = {"file": video.name, **report.to_json()}
    atomic_write(folder / "metrics.json", (json.dumps(facts, indent=2) + "\n").encode(), overwrite=True)


def _write_sheet(target: Path, video: NeuralVideo, report: Report, neural: FrameSource, source: FrameSource) -> None:
    """Write a picture of some frames: neural, source, and how far they are apart."""
    last, columns = len(neural) - 1, min(_COLUMNS, len(neural))
    indices = [last * column // max(columns - 1, 1) for column in range(columns)]
    ours, theirs = list(neural.frames(indices)), list(source.frames(indices))
    apart: list[Frame] = [difference(a, b) for a, b in zip(ours, theirs, strict=True)]
    psnr = report.metrics["psnr"]
    assert psnr is not None
    title = (
        f"{video.spec.frame_count} frames as one {video.architecture} network: {report.file_bytes / 1000:.0f} kB, "
        f"{report.bpp:.3f} bits per pixel, {psnr.mean:.2f} dB PSNR"
    )
    rows = {"neural": ours, "source": theirs, "difference\nx 4": apart}
    sheet = contact_sheet(rows, [f"frame {index}" for index in indices], title=title)
    with replacing(target, overwrite=True) as beside:
        Image.fromarray(sheet).save(beside, format="PNG")


def _next_steps(video: Path) -> tuple[str, ...]:
    """Return command lines that work where this one did: before the virtual environment is active, too."""
    started = Path(sys.argv[0])
    on_path = started.name != "nervplay" or shutil.which("nervplay") is not None
    program = "nervplay" if on_path else os.path.relpath(started)
    shown = os.path.relpath(video)
    return (
        f"{program} info {shown}",
        f"{program} pipe {shown} | ffmpeg -i - -f null -",
        f"{program} encode YOUR.mp4 your.nerv --preset hnerv-tiny --scale 320x180 --frames 0:100",
        f"{program} models",
    )
