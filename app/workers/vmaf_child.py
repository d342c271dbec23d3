"""The child process that measures VMAF: opens both sources again, reads every frame. No Qt in here.

in   `app.core.vmaf.VmafRequest.to_json`
out  progress, then {"ok": true, "values": [...]}
"""

import sys
from contextlib import closing
from typing import Any

from app.core.vmaf import VmafRequest
from app.workers.child_main import run_child, say_progress
from app.workers.media import Media
from app.workers.opening import open_any
from ffmpeg_bridge.vmaf import VmafMeter, find_vmaf
from nervplay.video.source import Frame

__all__ = ["main", "measure_vmaf"]

_NICENESS = 15


def measure_vmaf(job: dict[str, Any]) -> dict[str, Any]:
    """Return the VMAF of every frame.

    Args:
        job: see the head of this module.

    Raises:
        CapabilityError: no ffmpeg program here computes VMAF.
        NervplayError: a source cannot be opened or decoded.
    """
    request = VmafRequest.from_json(job)
    program = find_vmaf()  # before the long work
    with (
        closing(open_any(request.a)) as a,
        closing(open_any(request.b)) as b,
        VmafMeter(b.facts.spec, program) as meter,
    ):
        for frame in range(request.frame_count):
            shown, reference = _frame(b, frame + request.offsets[1]), _frame(a, frame + request.offsets[0])
            meter.add(shown, reference)
            say_progress(frame + 1, request.frame_count)
        return {"message": "", "values": meter.values()}


def _frame(media: Media, index: int) -> Frame:
    """Return a frame, uint8 (H, W, 3); before the first one that, behind the last one the last."""
    picture: Frame = media.picture(min(media.facts.spec.frame_count - 1, max(0, index)))[..., :3]
    return picture


def main() -> int:
    """Do the job on stdin; return the exit code."""
    return run_child(measure_vmaf, _NICENESS)


if __name__ == "__main__":
    sys.exit(main())
