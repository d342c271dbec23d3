"""The child process of an export. No Qt in here.

in   {"file": NERV or CHECKPOINT, "official": ARGUMENTS or "", "reference": SRC or null,
"target": OUT, "beside": SRC or null, "layout": NAME,
"encoder": NAME, "crf": N or null, "precision": NAME, "device": NAME}
out  progress, then {"ok": true, "message": "..."}
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any

from app.cli.work.export import sound_for
from app.core.clips import open_original
from app.core.facts import human_size
from app.workers.child_main import run_child, say_progress
from app.workers.official import open_checkpoint
from ffmpeg_bridge.export import ExportReport, export_video
from nervplay.codec import NeuralVideo, open_nerv
from nervplay.decode import open_decoder
from nervplay.video import FrameSource, SideBySideSource

__all__ = ["main", "run_job"]


def run_job(job: dict[str, Any]) -> ExportReport:
    """Export, and say after every frame how far it is.

    Args:
        job: see the head of this module.

    Raises:
        NervplayError: it cannot be opened, decoded, encoded or written.
    """
    video = _open(job)
    beside = Path(job["beside"]) if job["beside"] else None
    sound = sound_for(video.file, [beside])
    calibrating = partial(say_progress, what="calibrating")
    with open_decoder(video, device=job["device"], precision=job["precision"], progress=calibrating) as decoder:
        shown: FrameSource = decoder
        if beside is not None:
            original = open_original(beside, video.file.source, video.spec)
            # A is on the left, as in the window
            shown = SideBySideSource(original, decoder, ("source", video.architecture), layout=job["layout"])
        with shown:
            return export_video(
                shown,
                Path(job["target"]),
                audio=sound,
                encoder=job["encoder"],
                crf=job["crf"],
                pix_fmt="yuv444p" if shown.spec.width % 2 or shown.spec.height % 2 else "yuv420p",
                overwrite=True,  # the file dialog has asked
                progress=say_progress,
            )


def _open(job: dict[str, Any]) -> NeuralVideo:
    """Open the .nerv file, or the checkpoint with its command line."""
    if not job.get("official"):
        return open_nerv(job["file"])
    return open_checkpoint(Path(job["file"]), job["official"], Path(job["reference"]) if job["reference"] else None)


def _work(job: dict[str, Any]) -> dict[str, Any]:
    """Export, and put the outcome into words."""
    report = run_job(job)
    words = f"{report.path.name}: {human_size(report.size)}, {report.frame_count} frames"
    return {"message": f"{words}, sound: {report.audio or 'none'}"}


def main() -> int:
    """Do the job on stdin; return the exit code."""
    return run_child(_work)


if __name__ == "__main__":
    sys.exit(main())
