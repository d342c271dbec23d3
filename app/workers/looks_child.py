"""The child process that makes what a page on the Hub shows: figures, poster, preview. No Qt in here.

in   {"file": NERV, "source": SRC or null, "preview": "decoded", "beside" or "none", "device": NAME, "folder": FOLDER}
out  progress, then {"ok": true, "psnr": x, "ms_ssim": y, "poster": PATH, "preview": PATH}, null for what was not wanted
"""

import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from app.cli.work.pictures import make_poster, make_preview
from app.core.clips import open_original
from app.core.publishing import Preview
from app.workers.child_main import run_child, say_progress
from nervplay.codec import open_nerv
from nervplay.decode import open_decoder
from nervplay.metrics import evaluate
from nervplay.video import FrameSource, SideBySideSource

__all__ = ["main", "make_looks"]

_METRICS = ("psnr", "ms-ssim")


def make_looks(job: dict[str, Any]) -> dict[str, Any]:
    """Decode, measure, write the pictures; return the figures.

    Args:
        job: see the head of this module.

    Raises:
        NervplayError: it cannot be opened, decoded, encoded or written.
    """
    folder, preview = Path(job["folder"]), Preview(job["preview"])
    figures: dict[str, float | None] = dict.fromkeys(_METRICS)
    pictures: dict[str, str | None] = {"poster": None, "preview": None}
    video = open_nerv(job["file"])
    with ExitStack() as stack:
        decoder = stack.enter_context(open_decoder(video, device=job["device"]))
        original: FrameSource | None = None
        if job["source"] is not None:
            original = stack.enter_context(open_original(Path(job["source"]), video.file.source, video.spec))
            said = partial(say_progress, what="measuring")
            report = evaluate(decoder, original, video.file_bytes, metrics=_METRICS, progress=said)
            figures = {name: series.mean if series else None for name, series in report.metrics.items()}
        if preview is not Preview.NONE:
            shown: FrameSource = decoder
            if preview is Preview.BESIDE and original is not None:
                shown = SideBySideSource(original, decoder, ("source", video.architecture), layout="side-by-side")
            poster, film = folder / "poster.webp", folder / "preview.mp4"
            poster.write_bytes(make_poster(shown.frame(len(shown) // 2)))
            said = partial(say_progress, what="making a preview")
            film.write_bytes(make_preview(shown, progress=said))
            pictures = {"poster": str(poster), "preview": str(film)}
    return {"message": "", "psnr": figures["psnr"], "ms_ssim": figures["ms-ssim"], **pictures}


def main() -> int:
    """Do the job on stdin; return the exit code."""
    return run_child(make_looks)


if __name__ == "__main__":
    sys.exit(main())
