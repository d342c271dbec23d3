"""How well a file does its task: the quality where the network was given nothing, beside that of the rest."""

from collections.abc import Mapping

from nervplay.errors import GeometryError
from nervplay.metrics.psnr import psnr
from nervplay.metrics.report import Series
from nervplay.video.source import FrameSource
from nervplay.video.tasks import Task

__all__ = ["evaluate_task"]


def evaluate_task(decoder: FrameSource, source: FrameSource, task: Task) -> Mapping[str, Series]:
    """Return the PSNRs that a task's paper reports and those to compare them with, in dB.

    Args:
        decoder: the decoded file.
        source: the original, whole and clean, with the same crop, scale and frame range.
        task: what the file was fitted for.

    Returns:
        By name: "seen frames" and "unseen frames"; "whole frames", "holes" and "outside the holes"; "against the clean
        clip" and "the noisy clip itself"; "all frames" for a regression. An unseen last frame has no neighbour behind
        it and is left out.

    Raises:
        GeometryError: sizes or frame counts differ.
    """
    if decoder.spec.frame_count != source.spec.frame_count:
        raise GeometryError(
            f"the source has {source.spec.frame_count} frames, the file {decoder.spec.frame_count}; cut it as the file"
        )
    count = decoder.spec.frame_count
    visible = task.visible(decoder.spec.width, decoder.spec.height)
    seen = set(task.seen(count))
    values: dict[str, list[tuple[int, float]]] = {}

    def note(name: str, index: int, value: float) -> None:
        values.setdefault(name, []).append((index, value))

    for index, (frame, original) in enumerate(zip(decoder.frames(), source.frames(), strict=True)):
        if visible is not None:
            note("whole frames", index, psnr(frame, original))
            note("holes", index, psnr(frame[~visible], original[~visible]))
            note("outside the holes", index, psnr(frame[visible], original[visible]))
        elif task.noise is not None:
            note("against the clean clip", index, psnr(frame, original))
            note("the noisy clip itself", index, psnr(task.given(original, index), original))
        elif task.every > 1:
            if index in seen:
                note("seen frames", index, psnr(frame, original))
            elif index + 1 < count:
                note("unseen frames", index, psnr(frame, original))
        else:
            note("all frames", index, psnr(frame, original))
    return {
        name: Series(frames=tuple(index for index, _ in rows), values=tuple(value for _, value in rows))
        for name, rows in values.items()
    }
