"""The child process of an export: one JSON job on stdin, JSON lines on stdout. No Qt in here.

in   {"file": NERV, "target": OUT, "beside": SRC or null, "layout": NAME, "encoder": NAME, "crf": N or null,
"precision": NAME, "device": NAME}
out  {"done": 3, "total": 132} ...   {"ok": true, "message": "..."}
"""

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.cli.export import sound_for
from app.core.clips import open_original
from app.core.facts import human_size
from ffmpeg_bridge.export import ExportReport, export_video
from nervplay.codec import open_nerv
from nervplay.decode import open_decoder
from nervplay.errors import NervplayError
from nervplay.video import FrameSource, SideBySideSource

__all__ = ["main", "run_job"]


def _say(words: dict[str, Any]) -> None:
    """Write one line to stdout."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def run_job(job: dict[str, Any]) -> ExportReport:
    """Export, and say after every frame how far it is.

    Args:
        job: see the head of this module.

    Raises:
        NervplayError: it cannot be opened, decoded, encoded or written.
    """
    video = open_nerv(job["file"])
    beside = Path(job["beside"]) if job["beside"] else None
    sound = sound_for(video.file, [beside])
    with open_decoder(video, device=job["device"], precision=job["precision"]) as decoder:
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
                progress=lambda done, total: _say({"done": done, "total": total}),
            )


def main() -> int:
    """Read the job, run it, say how it ended; the exit code is that of the command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))  # an exception, so that half-written files are removed
    with suppress(OSError):
        os.nice(5)
    try:
        report = run_job(json.loads(sys.stdin.readline()))
    except NervplayError as error:
        _say({"ok": False, "message": str(error)})
        return error.exit_code
    words = f"{report.path.name}: {human_size(report.size)}, {report.frame_count} frames"
    _say({"ok": True, "message": f"{words}, sound: {report.audio or 'none'}"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
