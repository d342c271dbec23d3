"""`nervplay encode`: a clip becomes a fitted network in a .nerv file; stopped at any time, it goes on where it was."""

import logging
import shutil
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from app.cli.command import command as nervplay_command
from app.cli.decoding import open_logged
from app.cli.effort import Effort, effort_options, ending_words, progress_words
from app.cli.finishing import finish
from app.cli.fitting import Network, choose_network, cut, parse_parameters, sound_of
from app.cli.goal import Goal, encode_goal, goal_options
from app.cli.long import Cutting, LongJob, check_parts, encode_long, plan_spans, segment_options, whole_clip
from app.cli.measure import measure, summary_line
from app.cli.options import (
    SIZE,
    SOURCE,
    TARGET,
    calibrate_option,
    check_suffix,
    check_target,
    device_option,
    json_option,
    overwrite_option,
)
from app.cli.output import emit_json, note, progress
from app.cli.stages import CONVOLUTIONS_FORM
from app.core.clips import source_record
from ffmpeg_bridge import open_source
from nervplay.bitstream import Audio, NervFile, clear_leftovers, write_nerv
from nervplay.bitstream.layout import MAX_BITS
from nervplay.codec import Precision, open_nerv, pack
from nervplay.codec.rate import RateTuned
from nervplay.decode import resolve_device
from nervplay.decode.loss import told
from nervplay.errors import OutputError, OutputExistsError, UsageError
from nervplay.metrics import Report, Series
from nervplay.models import VideoModel
from nervplay.training import FitResult, Progress, build_for_training, fit, resume_path, stop_on_signals
from nervplay.video import FrameSource, VideoSpec

__all__ = ["command"]

_LOG = logging.getLogger(__name__)


@nervplay_command(
    "encode",
    examples=(
        "nervplay encode clip.mp4 clip.nerv --preset hnerv-tiny",
        "nervplay encode clip.mp4 clip.nerv --arch hnerv --size 1.5M --scale 640x360 --epochs 300",
        "nervplay encode clip.mp4 clip.nerv --arch hnerv --size 1.5M --effort balanced",
        "nervplay encode clip.mp4 clip.nerv --preset hnerv-tiny --resume",
        "nervplay encode clip.mp4 clip.nerv --preset hnerv-tiny --time-limit 30m --speed compiled",
        "nervplay encode clip.mp4 clip.nerv --arch hnerv --target-bytes 400000",
        "nervplay encode clip.mp4 clip.nerv --arch snerv --size 1M --convolutions low-rank:2-:rho=0.25",
        "nervplay encode film.mp4 film.nerv --preset hnerv-tiny --segments auto --engine ray",
    ),
    codes=(2, 3, 4, 6, 130),
)
@click.argument("source", type=SOURCE, metavar="SRC")
@click.argument("target", type=TARGET, metavar="OUT.nerv")
@click.option("--preset", metavar="NAME", help="A network and its recipe by name; `nervplay models` lists them.")
@click.option("--arch", metavar="NAME", help="An architecture, with --size instead of a preset.")
@click.option("--size", metavar="1.5M", help="About how many parameters to store, with --arch.")
@click.option(
    "--convolutions",
    multiple=True,
    metavar=CONVOLUTIONS_FORM,
    help="Cheaper convolutions in some stages; may be given again for others. KIND: low-rank (with rho, its rank over"
    " the channels), ghost, ghost-v2, binary. STAGES: 3-4, 0,2, 2- or all, counted from 0.",
)
@click.option("--frames", metavar="A:B", help="Only frames A to B - 1.")
@click.option("--crop", type=SIZE, metavar="WxH", help="Cut this size from the middle.")
@click.option("--scale", type=SIZE, metavar="WxH", help="Resize to this size, behind --crop.")
@click.option(
    "--task",
    metavar="NAME",
    help="What is fitted for: regression (default), interpolation, inpaint-center, inpaint-disperse_50,"
    " denoise-gaussian_25, ...; `nervplay eval` measures it by its paper's protocol.",
)
@click.option("--seed", type=int, metavar="N", help="Of initial weights and frame order; default: the preset's.")
@click.option("--bits", type=int, default=8, show_default=True, metavar="N", help="Bits of a weight.")
@click.option("--embed-bits", type=int, default=6, show_default=True, metavar="N", help="Bits of an embedding.")
@click.option(
    "--rate-lambda",
    type=float,
    metavar="L",
    help="Let weights pay for their bits while they are fitted: L times bits per pixel in the loss, e.g. 1e-3.",
)
@click.option(
    "--audio", type=click.Choice(["copy", "none"]), default="copy", show_default=True, help="The clip's sound."
)
@click.option("--resume", is_flag=True, help="Go on with the stopped fit of this target.")
@calibrate_option
@click.option(
    "--save-every", type=click.FloatRange(min=0), default=5.0, show_default=True, metavar="S", help="Seconds."
)
@json_option
@device_option
@overwrite_option
@effort_options
@goal_options
@segment_options
def command(
    *,
    source: Path,
    target: Path,
    preset: str | None,
    arch: str | None,
    size: str | None,
    convolutions: tuple[str, ...],
    frames: str | None,
    crop: tuple[int, int] | None,
    scale: tuple[int, int] | None,
    task: str | None,
    seed: int | None,
    bits: int,
    embed_bits: int,
    rate_lambda: float | None,
    audio: str,
    resume: bool,
    calibrate: bool,
    save_every: float,
    effort: Effort,
    goal: Goal | None,
    cutting: Cutting,
    as_json: bool,
    device: str,
    overwrite: bool,
) -> None:
    """Fit a network to the clip SRC (a video file, or a folder of pictures) and write it to OUT.nerv.

    Everything is checked before the work begins. While it runs, its state is saved beside the target every few seconds;
    Ctrl-C saves, too, and --resume goes on as if nothing had happened. At the end the written file is decoded again,
    and what it decodes to is measured.
    """
    _check_choice(preset, arch, size, goal)
    precision = Precision(bits=bits, embed_bits=embed_bits)
    long = cutting.segments is not None or cutting.engine == "ray"
    if (long or goal is not None) and rate_lambda is not None:
        raise UsageError("--rate-lambda fits one network; leave it out, or leave --segments, --engine and targets out")
    if long and goal is not None:
        raise UsageError("a target is met by one network for the whole clip; leave --segments and --engine out")
    left = _check_targets(target, long=long or goal is not None, resume=resume, overwrite=overwrite)
    resolve_device(device)

    def choose(spec: VideoSpec, share: float = 1.0) -> Network:
        recipe = partial(effort.recipe, seed=seed, task=task)
        if goal is not None:  # what counts of this one is its recipe
            network = choose_network(spec, preset=f"{arch}-tiny", arch=None, size=None, recipe=recipe)
            return replace(network, preset=None)
        whole_size = None if size is None else str(max(1, round(parse_parameters(size) * share)))
        return choose_network(spec, preset=preset, arch=arch, size=whole_size, recipe=recipe, convolutions=convolutions)

    unsaved = None
    with open_source(source) as whole:
        clip, transform = cut(whole, frames, crop, scale)
        network = choose(clip.spec)
        sound = sound_of(source, clip.spec, transform) if audio == "copy" else None
        job = LongJob(
            source=source,
            transform=transform,
            target=target,
            precision=precision,
            device=device,
            save_every=save_every,
            time_limit=effort.time_limit,
            frame_memory=effort.frame_memory,
            cutting=cutting,
            choose=choose,
        )
        if goal is not None:
            video = encode_goal(goal, left, whole_clip(job, clip.spec), clip, sound, calibrate=calibrate)
        elif long:
            video = encode_long(job, clip, plan_spans(clip, cutting), sound)
        else:
            if left.exists() and not resume:
                left.unlink()
            video, unsaved = _encode_whole(job, network, clip, left, sound, rate_lambda=rate_lambda)
        _write(target, video, overwrite=overwrite, unsaved=unsaved)
        summary = _measure(target, clip, device)
    _clear(left)
    limit = goal.limit(clip.spec) if goal is not None else None
    file_bytes = finish(target, video, psnr_db=_psnr(summary).mean, calibrate=calibrate, most_bytes=limit)
    summary = replace(summary, file_bytes=file_bytes)
    note(summary_line(target, summary))
    if as_json:
        emit_json(_summary(target, network, summary))


def _encode_whole(
    job: LongJob, network: Network, clip: FrameSource, state: Path, sound: Audio | None, *, rate_lambda: float | None
) -> tuple[NervFile, OutputError | None]:
    """Fit one network for the whole clip; return its file, and why the finished state could not be saved, if so.

    Raises:
        Interrupted: stopped; the state is saved.
    """
    precision = job.precision
    model = build_for_training(network.architecture, network.config, network.recipe)
    paying = RateTuned(model, rate_lambda, bits=min(precision.bits, MAX_BITS)) if rate_lambda is not None else None
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


def _check_choice(preset: str | None, arch: str | None, size: str | None, goal: Goal | None) -> None:
    """Raise `UsageError` unless exactly one way to choose a network was taken."""
    if goal is not None:
        if arch is None or size is not None or preset is not None:
            raise UsageError("a target chooses the size; give --arch with it, and neither --size nor --preset")
        return
    if preset is None and (arch is None or size is None):
        raise UsageError("no network chosen; give --preset NAME (`nervplay models` lists them), or --arch and --size")
    if preset is not None and (arch is not None or size is not None):
        raise UsageError(f"--preset {preset} says everything; leave --arch and --size out, or take them instead of it")


def _clear(left: Path) -> None:
    """Remove the resume file, or the folder of the parts, of a fit that is written."""
    if left.is_dir():
        shutil.rmtree(left)
    else:
        left.unlink(missing_ok=True)


def _check_targets(target: Path, *, long: bool, resume: bool, overwrite: bool) -> Path:
    """Check target and saved state before the work; return the resume file, or the folder of the parts of a long clip.

    What a killed run has left half-written is removed.

    Raises:
        UsageError: a target that does not end with .nerv.
        OutputError: it cannot be written.
        OutputExistsError: it is there, or a stopped fit is, and the options do not say what to do with it.
    """
    check_suffix(target, ".nerv")
    check_target(target, overwrite=overwrite)
    clear_leftovers(target)
    if long:
        return check_parts(target, resume=resume, overwrite=overwrite)
    state = resume_path(target)
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


def _measure(target: Path, clip: FrameSource, device: str) -> Report:
    """Decode the file that was written and measure it."""
    video = open_nerv(target)
    with open_logged(video, device=device) as decoder:
        return measure(decoder, clip, video.file_bytes, ["psnr"])


def _psnr(report: Report) -> Series:
    series = report.metrics["psnr"]
    assert series is not None
    return series


def _summary(target: Path, network: Network, report: Report) -> dict[str, Any]:
    psnr = _psnr(report)
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
