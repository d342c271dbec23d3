"""`open_any`: a source of any kind becomes a `Media`. The one place that knows how each kind is opened."""

import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from app.core.clips import recorded_transform
from app.core.facts import MediaFacts
from app.core.hub import fetch
from app.core.slot import Alignment, OpenRequest
from app.core.sources import ANCHOR_ENCODERS, Kind, SourceRef
from app.workers.media import ClipMedia, Media
from ffmpeg_bridge import open_source
from nervplay.errors import GeometryError, InputError, MissingInputError, UsageError
from nervplay.video import FrameSource, FrameTransform, matched

__all__ = ["aligned", "open_any"]


def open_any(
    request: OpenRequest, *, cancelled: threading.Event | None = None, progress: Callable[[str], None] | None = None
) -> Media:
    """Open a source.

    Args:
        request: what to open, and how.
        cancelled: set from another thread to stop a download or an encode.
        progress: told in words how far a download or an encode is.

    Raises:
        NervplayError: it cannot be opened; the message says what to do.
    """
    ref = request.ref
    cancelled, progress = cancelled or threading.Event(), progress or (lambda _words: None)
    if ref.kind is Kind.VIDEO:
        return _open_clip(ref, Path(ref.text), request.like)
    if ref.kind is Kind.ANCHOR:
        return _open_anchor(request, cancelled, progress)
    if ref.kind is Kind.HUB:
        fetched = fetch(ref.text, cancelled, progress)
        return _open_nerv(request, fetched.path, cancelled, progress, fetched.address)
    path = Path(ref.text)
    if not path.exists():
        raise MissingInputError(f"'{path}' does not exist; check the spelling (relative to {Path.cwd()})")
    opener = _open_nerv if ref.kind is Kind.NERV else _open_official
    return opener(request, path, cancelled, progress)


def aligned(source: FrameSource, like: Alignment | None) -> FrameSource:
    """Return a clip cut and scaled so that it can be compared with a neural video, as well as it can be.

    As recorded where that fits; else, a clip of the same shape is scaled. One that fits neither way stays as it is: it
    can be looked at, and the difference modes say that sizes differ.

    Args:
        source: the clip; the result owns it.
        like: what it is compared with; None leaves it as it is.
    """
    if like is None:
        return source
    try:
        return matched(source, recorded_transform(like.record), like.spec)
    except (GeometryError, InputError):
        pass
    spec, wanted = source.spec, like.spec
    shape = spec.width * spec.sample_aspect / spec.height
    if abs(shape - wanted.width * wanted.sample_aspect / wanted.height) < Fraction(1, 50):
        return FrameTransform(scale=(wanted.width, wanted.height)).apply(source)
    return source


def _open_clip(ref: SourceRef, path: Path, like: Alignment | None) -> ClipMedia:
    """Open a video file or a folder."""
    whole = open_source(path)
    size = (whole.spec.width, whole.spec.height)
    try:
        source = aligned(whole, like)
    except BaseException:
        whole.close()
        raise
    return ClipMedia(
        source,
        MediaFacts(
            title=ref.title,
            kind=ref.kind.value,
            spec=source.spec,
            file_bytes=path.stat().st_size if path.is_file() else None,
            whole_size=size if (source.spec.width, source.spec.height) != size else None,
            sequential=path.is_file(),
            has_audio=path.is_file(),
            path=str(path),
            stamp=path.stat().st_mtime_ns,
        ),
    )


def _open_anchor(request: OpenRequest, cancelled: threading.Event, progress: Callable[[str], None]) -> ClipMedia:
    """Encode the reference as large as B, and open that."""
    from app.workers.anchors import encode_at_size

    if request.reference is None or request.target_bytes is None:
        raise UsageError(f"{request.ref.text} at the bytes of B needs a video as A and a file as B; open both first")
    encoder = ANCHOR_ENCODERS[request.ref.text]
    with aligned(open_source(Path(request.reference.text)), request.like) as source:
        path = encode_at_size(source, encoder, request.target_bytes, cancelled, progress)
    return _open_clip(request.ref, path, None)


def _open_nerv(
    request: OpenRequest,
    path: Path,
    cancelled: threading.Event,
    progress: Callable[[str], None],
    address: str = "",
) -> Media:
    """Open a .nerv file; `address` says where on the Hub it came from."""
    from app.workers.neural import NeuralMedia
    from nervplay.codec import open_nerv

    return NeuralMedia(
        open_nerv(path),
        title=request.ref.title,
        kind=request.ref.kind.value,
        path=str(path),
        address=address,
        precision=request.precision,
        device=request.device,
        progress=_percent(progress),
        stopped=cancelled,
    )


def _percent(progress: Callable[[str], None]) -> Callable[[float], None]:
    """Return what tells in words how far INT8 is made ready."""
    return lambda part: progress(f"int8 is being prepared: {part:.0%}")


def _open_official(
    request: OpenRequest, path: Path, cancelled: threading.Event, progress: Callable[[str], None]
) -> Media:
    """Open a checkpoint of an official code; the reference clip supplies what it lacks."""
    from app.workers.neural import NeuralMedia
    from app.workers.official import open_checkpoint

    arguments = request.ref.arguments
    if not arguments:
        raise UsageError(f"{path.name} needs the command line it was made with: {path.name} --official --arch ...")
    reference = Path(request.reference.text) if request.reference is not None else None
    return NeuralMedia(
        open_checkpoint(path, arguments, reference),
        title=request.ref.title,
        kind=request.ref.kind.value,
        precision=request.precision,
        device=request.device,
        progress=_percent(progress),
        stopped=cancelled,
    )
