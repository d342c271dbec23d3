"""What `nervplay encode` does: fitting, writing, and measuring what was written."""

import logging
import shutil
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from app.cli.encode import Asked
from app.cli.options import parse_parameters
from app.cli.output import emit_json, note, progress
from app.cli.work.finishing import finish
from app.cli.work.fitting import Network, choose_network, cut, ending_words, progress_words, recipe_of, sound_of
from app.cli.work.goal import encode_goal
from app.cli.work.long import LongJob, check_parts, encode_long, plan_spans, whole_clip
from app.cli.work.measure import measure_psnr, psnr_of, summary_line
from app.core.clips import source_record
from ffmpeg_bridge import open_source
from nervplay.bitstream import Audio, NervFile, clear_leftovers, write_nerv
from nervplay.bitstream.layout import MAX_BITS
from nervplay.codec import Precision, open_nerv, pack
from nervplay.codec.rate import RateTuned
from nervplay.decode import resolve_device
from nervplay.decode.loss import told
from nervplay.errors import Interrupted, OutputError, OutputExistsError, UsageError
from nervplay.metrics import Report
from nervplay.models import VideoModel
from nervplay.training import FitResult, Progress, build_for_training, fit, resume_path, stop_on_signals
from nervplay.training.batches import check_batches
from nervplay.video import FrameSource, VideoSpec

__all__ = ["encode"]

_LOG = logging.getLogger(__name__)


def encode(asked: Asked) -> None:
    """Fit, write, measure, and say what came of it."""
    left = _check_state(asked, in_folder=asked.cutting.long or asked.goal is not None)
    try:
        _encode(asked, left)
    except Interrupted as stop:
        raise Interrupted(f"{stop}; go on with --resume") from None
    finally:
        with suppress(OSError):  # a folder of parts in which nothing was begun; any other stays
            left.rmdir()


def _encode(asked: Asked, left: Path) -> None:
    """Do what is asked for.

    Args:
        asked: the options.
        left: the resume file, or the folder of the parts.
    """
    resolve_device(asked.device)

    def choose(spec: VideoSpec, share: float = 1.0) -> Network:
        recipe = partial(recipe_of, asked.effort, seed=asked.seed, task=asked.task)
        if asked.goal is not None:  # what counts of this one is its recipe
            network = choose_network(spec, preset=f"{asked.arch}-tiny", arch=None, size=None, recipe=recipe)
            return replace(network, preset=None)
        whole_size = None if asked.size is None else str(max(1, round(parse_parameters(asked.size) * share)))
        return choose_network(
            spec, preset=asked.preset, arch=asked.arch, size=whole_size, recipe=recipe, convolutions=asked.convolutions
        )

    unsaved = None
    with open_source(asked.source) as whole:
        clip, transform = cut(whole, asked.frames, asked.crop, asked.scale)
        network = choose(clip.spec)
        sound = sound_of(asked.source, clip.spec, transform) if asked.audio == "copy" else None
        job = LongJob(
            source=asked.source,
            transform=transform,
            target=asked.target,
            precision=Precision(bits=asked.bits, embed_bits=asked.embed_bits),
            device=asked.device,
            save_every=asked.save_every,
            time_limit=asked.effort.time_limit,
            frame_memory=asked.effort.frame_memory,
            cutting=asked.cutting,
            choose=choose,
        )
        if asked.goal is not None:
            video = encode_goal(asked.goal, left, whole_clip(job, clip.spec), clip, sound, calibrate=asked.calibrate)
        elif asked.cutting.long:
            video = encode_long(job, clip, plan_spans(clip, asked.cutting), sound)
        else:
            if left.exists() and not asked.resume:
                left.unlink()
            video, unsaved = _encode_whole(job, network, clip, left, sound, rate_lambda=asked.rate_lambda)
        _write(asked.target, video, overwrite=asked.overwrite, unsaved=unsaved)
        summary = measure_psnr(open_nerv(asked.target), clip, asked.device)
    _clear(left)
    limit = asked.goal.limit(clip.spec) if asked.goal is not None else None
    file_bytes = finish(asked.target, video, psnr_db=psnr_of(summary).mean, calibrate=asked.calibrate, most_bytes=limit)
    summary = replace(summary, file_bytes=file_bytes)
    note(summary_line(asked.target, summary))
    if asked.as_json:
        emit_json(_summary(asked.target, network, summary))


def _encode_whole(
    job: LongJob, network: Network, clip: FrameSource, state: Path, sound: Audio | None, *, rate_lambda: float | None
) -> tuple[NervFile, OutputError | None]:
    """Fit one network for the whole clip; return its file, and why the finished state could not be saved, if so.

    Raises:
        Interrupted: stopped; the state is saved.
        UsageError: weights that pay for bits are to have none but those of floats.
    """
    check_batches(network.recipe, network.config)  # before the clip is read
    precision = job.precision
    if rate_lambda is not None and precision.bits > MAX_BITS:
        raise UsageError(f"--rate-lambda stores integers, --bits {precision.bits} floats; leave one of them out")
    model = build_for_training(network.architecture, network.config, network.recipe)
    paying = RateTuned(model, rate_lambda, bits=precision.bits) if rate_lambda is not None else None
    fitted = _fit(
        network,
        paying or model,
        clip,
        state,
        device=job.device,
        save_every=job.save_every,
        time_limit=job.time_limit,
        frame_memory=job.frame_memory,
    )
    facts = {"preset": network.preset, "training": network.recipe.to_json(), **asdict(precision)}
    facts |= told(fitted.psnr_db)
    facts |= {"rate_lambda": rate_lambda} if paying else {}
    record = source_record(job.source, job.transform)
    tensors = paying.quantised() if paying else None
    file = pack(model, clip.spec, precision=precision, source=record, recipe=facts, audio=sound, tensors=tensors)
    return file, fitted.unsaved


def _clear(left: Path) -> None:
    """Remove the resume file, or the folder of the parts, of a fit that is written."""
    if left.is_dir():
        shutil.rmtree(left)
    else:
        left.unlink(missing_ok=True)


def _check_state(asked: Asked, *, in_folder: bool) -> Path:
    """Check what earlier runs left; return the resume file, or the folder of the parts.

    What a killed run has left half-written is removed.

    Raises:
        OutputError: the folder cannot be made.
        OutputExistsError: a stopped fit is there, and the options do not say what to do with it.
    """
    target, resume, overwrite = asked.target, asked.resume, asked.overwrite
    clear_leftovers(target)
    if in_folder:
        return check_parts(target, resume=resume, overwrite=overwrite)
    state = resume_path(target)
    if state.is_dir():
        raise OutputError(
            f"'{state}' is a folder, and the fit keeps its state there; move it, or choose another target"
        )
    clear_leftovers(state)
    if state.exists() and not resume and not overwrite:
        raise OutputExistsError(
            f"a stopped fit of '{target}' lies in '{state}'; add --resume to go on, or --overwrite to start again"
        )
    if resume and not state.exists():
        note(f"no stopped fit of {target} is there; starting from the beginning")
    return state


def _fit(
    network: Network,
    model: VideoModel,
    clip: FrameSource,
    state: Path,
    *,
    device: str,
    save_every: float,
    time_limit: float | None,
    frame_memory: int | None,
) -> FitResult:
    """Fit with a progress bar; Ctrl-C saves and stops.

    Raises:
        Interrupted: stopped; the state is saved.
    """
    _LOG.info("fitting %s as %s %s with %s", clip.spec, network.architecture, network.config, network.recipe)
    with stop_on_signals() as stop, progress("fitting", network.recipe.total_epochs, "epochs") as show:

        def report(now: Progress) -> None:
            done = now.epoch - 1 + now.step / now.steps
            show(done, progress_words(now))

        result = fit(
            model,
            clip,
            network.recipe,
            device=device,
            resume=state,
            save_every=save_every,
            time_limit=time_limit,
            frame_memory=frame_memory,
            progress=report,
            stop=stop,
        )
    words = ending_words(result)
    if words is not None:
        note(words)
    return result


def _write(target: Path, video: NervFile, *, overwrite: bool, unsaved: OutputError | None) -> None:
    """Write the finished fit; what goes wrong here must not cost it.

    Args:
        target: the file.
        video: what it holds.
        overwrite: whether an existing file may be replaced.
        unsaved: why the finished state could not be saved either, if so.

    Raises:
        OutputError: it cannot be written; the message says how to try again.
    """
    try:
        write_nerv(target, video, overwrite=overwrite)
    except OutputError as error:
        way = "nothing is lost: the same command with --resume writes the finished fit"
        if unsaved is not None:
            way = "make room: the same command with --resume goes on from the last state that could be saved"
        raise OutputError(f"{error}; {way}") from error


def _summary(target: Path, network: Network, report: Report) -> dict[str, Any]:
    psnr = psnr_of(report)
    return {
        "path": str(target),
        "architecture": network.architecture,
        "preset": network.preset,
        "file_bytes": report.file_bytes,
        "bpp": report.bpp,
        "psnr_db": psnr.mean,
        "psnr_db_min": psnr.minimum,
        "weights_sha256": open_nerv(target).weights_sha256,
    }
