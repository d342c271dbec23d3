"""`nervplay encode --segments`: a long clip, fitted segment by segment, by one engine or another."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from app.cli.long import Cutting
from app.cli.output import note, progress
from app.cli.work.fitting import Network
from app.core.clips import source_record
from app.encoding.local import run_local
from app.encoding.parts import Part, fingerprint_of, join_parts, parts_folder
from app.encoding.ray_engine import run_ray
from app.encoding.report import PartReport, Tally
from ffmpeg_bridge.scenes import scene_cuts
from nervplay.bitstream import Audio, NervFile
from nervplay.codec import Precision
from nervplay.errors import OutputError, OutputExistsError
from nervplay.training import stop_on_signals
from nervplay.training.batches import check_batches
from nervplay.video import FrameSource, FrameTransform, VideoSpec
from nervplay.video.spans import Span, even_spans, scene_spans

__all__ = [
    "LongJob",
    "check_parts",
    "encode_long",
    "plan_spans",
    "run_parts",
    "whole_clip",
]

_SHORTEST_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class LongJob:
    """What all segments of one clip share.

    Args:
        source: path of the clip.
        transform: how it is cut before segments are.
        target: the file to be written.
        precision: bits of weights and embeddings.
        device: see `nervplay.decode.resolve_device`.
        save_every: seconds between two saves of a fit's state.
        time_limit: seconds of training for the whole clip, shared out by frames; None for no limit.
        frame_memory: bytes that the decoded frames of a network may take in main memory; None for a share of it.
        cutting: the options of `segment_options`.
        choose: returns the network for a clip and a share of the whole clip's frames.
    """

    source: Path
    transform: FrameTransform
    target: Path
    precision: Precision
    device: str
    save_every: float
    time_limit: float | None
    frame_memory: int | None
    cutting: Cutting
    choose: Callable[[VideoSpec, float], Network]


def plan_spans(clip: FrameSource, cutting: Cutting) -> tuple[Span, ...]:
    """Return the segments of a clip; scene cuts are looked for with a progress bar.

    Raises:
        UsageError: more segments than frames.
        CapabilityError: an FFmpeg that cannot find scene cuts.
    """
    count, words = len(clip), cutting.segments or "1"
    if words == "auto":
        longest = max(1, int(cutting.seconds * clip.spec.rate))
        shortest = min(longest, max(1, round(_SHORTEST_SECONDS * float(clip.spec.rate))))
        with progress("looking for scene cuts", count, "frames") as show:
            cuts = scene_cuts(clip, progress=show)
        return scene_spans(count, cuts, longest=longest, shortest=shortest, overlap=cutting.overlap)
    return even_spans(count, int(words), overlap=cutting.overlap)


def check_parts(target: Path, *, resume: bool, overwrite: bool) -> Path:
    """Return the folder of the parts of a target, made if need be; parts of another run do not get in the way.

    Raises:
        OutputExistsError: parts of a stopped run lie there and the options do not say what to do with them.
        OutputError: the folder cannot be made.
    """
    folder = parts_folder(target)
    begun = folder.is_dir() and any(folder.iterdir())
    if begun and not resume:
        if not overwrite:
            raise OutputExistsError(
                f"segments of a stopped run of '{target}' lie in '{folder}'; add --resume to go on, or --overwrite to "
                "start again"
            )
        shutil.rmtree(folder)
    if resume and not begun:
        note(f"no stopped run of {target} is there; starting from the beginning")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"folder '{folder}' cannot be made: {error.strerror}; choose another target") from None
    return folder


def encode_long(job: LongJob, clip: FrameSource, spans: Sequence[Span], audio: Audio | None) -> NervFile:
    """Fit all segments of a clip and return the joined file; finished segments are not fitted again.

    Args:
        job: what the segments share.
        clip: the clip as it is encoded.
        spans: its segments.
        audio: its sound.

    Raises:
        Interrupted: stopped; all is saved in the folder of the parts.
        NervplayError: what fitting a segment raised.
    """
    networks, parts = _parts(job, clip.spec, spans)
    folder = parts_folder(job.target)
    run_parts(folder, parts, job.cutting, clip.spec.frame_count)
    recipe = {
        "preset": networks[0].preset,
        "training": networks[0].recipe.to_json(),
        **asdict(job.precision),
        "segments": {"how": job.cutting.segments, "overlap": job.cutting.overlap},
    }
    record = source_record(job.source, job.transform)
    return join_parts(folder, parts, clip.spec, source=record, recipe=recipe, audio=audio)


def run_parts(folder: Path, parts: Sequence[Part], cutting: Cutting, frames: int) -> None:
    """Fit parts by the engine that was asked for, with a progress bar; finished ones are not fitted again.

    Args:
        folder: keeps them; it exists.
        parts: the work.
        cutting: says which engine, and where.
        frames: frames of all parts together.

    Raises:
        Interrupted: stopped; all is saved in the folder.
        NervplayError: what fitting a part raised.
    """
    tally = Tally(parts)
    with stop_on_signals() as stop, progress("fitting", frames, "frames") as show:

        def report(now: PartReport) -> None:
            tally.add(now)
            show(tally.frames, tally.words())

        if cutting.engine == "ray":
            run_ray(folder, parts, report=report, stop=stop, address=cutting.address)
        else:
            run_local(folder, parts, report=report, stop=stop)


def whole_clip(job: LongJob, spec: VideoSpec) -> Part:
    """Return the fit of a clip by one network, as a part."""
    (part,) = _parts(job, spec, even_spans(spec.frame_count, 1))[1]
    return part


def _parts(job: LongJob, spec: VideoSpec, spans: Sequence[Span]) -> tuple[list[Network], list[Part]]:
    """Return the network and the work of every segment."""
    offset = job.transform.frames[0] if job.transform.frames else 0
    mark = fingerprint_of(job.source)
    known = sum(end - first for first, end in (span.known for span in spans))
    networks, parts = [], []
    for number, span in enumerate(spans):
        first, end = span.known
        share = (end - first) / known
        network = job.choose(replace(spec, frame_count=end - first), (end - first) / spec.frame_count)
        check_batches(network.recipe, network.config)
        networks.append(network)
        parts.append(
            Part(
                number=number,
                span=span,
                source=str(job.source.resolve()),
                fingerprint=mark,
                transform=replace(job.transform, frames=(offset + first, offset + end)),
                architecture=network.architecture,
                config=network.config,
                recipe=network.recipe,
                precision=job.precision,
                device=job.device,
                save_every=job.save_every,
                time_limit=None if job.time_limit is None else job.time_limit * share,
                frame_memory=job.frame_memory,
            )
        )
    return networks, parts
