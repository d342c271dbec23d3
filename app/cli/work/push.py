"""What `nervplay push` does: decoding for the page, and publishing."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from app.cli.fetching import open_hub
from app.cli.output import byte_progress, emit, emit_json, note, progress
from app.cli.push import Asked
from app.cli.work.decoding import open_logged
from app.cli.work.measure import measure
from app.cli.work.pictures import make_poster, make_preview
from app.core.clips import open_original
from models_hub import Address, Publication
from nervplay.codec import NeuralVideo, open_nerv
from nervplay.decode import Decoder

__all__ = ["push"]


class _Looks(NamedTuple):
    """What decoding gives for the page."""

    poster: bytes | None = None
    preview: bytes | None = None
    psnr: float | None = None
    ms_ssim: float | None = None


def push(asked: Asked, variants: Mapping[str, Path]) -> None:
    """Publish a file and print the address of the new version.

    Args:
        asked: the options.
        variants: other rates of the clip, files by name.
    """
    hub = open_hub()
    seen = "public" if asked.public else "private"
    note(f"publishing as {hub.whoami().name} to {asked.repository}, {seen} if it is new")
    video = open_nerv(asked.file)
    with open_logged(video, device=asked.device) as decoder:
        looks = _decoded(video, decoder, asked.source, pictures=not asked.no_pictures)
    publication = Publication(
        video=asked.file,
        title=asked.title or asked.repository.partition("/")[2],
        license=asked.licence,
        credit=asked.credit,
        variants=variants,
        **looks._asdict(),
    )
    with byte_progress(f"pushing {asked.repository}") as show:
        made = hub.push(
            publication, asked.repository, private=not asked.public, message=asked.message, tag=asked.tag, progress=show
        )
    address = Address(repository=made.repository, revision=made.revision)
    if asked.as_json:
        facts: dict[str, Any] = {"address": str(address), "url": made.url, "files": dict(made.files)}
        emit_json(facts)
    else:
        emit(str(address))
        note(f"its page is {made.url}; play it: nervplay play hf://{made.repository}")


def _decoded(video: NeuralVideo, decoder: Decoder, source: Path | None, *, pictures: bool) -> _Looks:
    """Return pictures of the decoded clip, and how near it is to its source."""
    looks = _Looks()
    if source is not None:
        with open_original(source, video.file.source, video.spec) as original:
            report = measure(decoder, original, video.file_bytes, ("psnr", "ms-ssim"))
        means = {name: series.mean if series else None for name, series in report.metrics.items()}
        looks = looks._replace(psnr=_finite(means["psnr"]), ms_ssim=_finite(means["ms-ssim"]))
    if pictures:
        with progress("making a preview", len(decoder), "frames") as show:
            preview = make_preview(decoder, progress=lambda done, _all: show(done))
        looks = looks._replace(poster=make_poster(decoder.frame(len(decoder) // 2)), preview=preview)
    return looks


def _finite(value: float | None) -> float | None:
    """Return a figure that a card can hold: identical frames have an infinite PSNR, which JSON and YAML lack."""
    return value if value is not None and math.isfinite(value) else None
