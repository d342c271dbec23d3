"""Fitting a network to a clip: the loop, its progress, its saves and its end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from nervplay.decode import resolve_device
from nervplay.errors import CapabilityError, GeometryError, OutputError, UsageError
from nervplay.models.base import ModelConfig, VideoModel, build_model
from nervplay.training.checkpoint import identity_of
from nervplay.training.ending import TimeLimit
from nervplay.training.frames import ClipFrames
from nervplay.training.phases import PhaseHooks
from nervplay.training.progress import Progress
from nervplay.training.recipes import Recipe
from nervplay.training.run import Run, deterministic
from nervplay.training.speed import get_speed
from nervplay.training.watch import Watch
from nervplay.video.source import FrameSource
from nervplay.video.spec import VideoSpec
from nervplay.video.tasks import Task, parse_task

__all__ = ["FitResult", "build_for_training", "fit"]


Ending = Literal["done", "plateau", "time limit"]


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """A fitted network and how the fit went.

    Args:
        model: the network that was given, on the CPU, in eval mode, its embeddings stored.
        psnr_db: mean of the last epoch's training predictions; `nervplay.metrics` measures what the file decodes to.
        loss: mean of the last epoch.
        seconds: wall time of this call's training steps; a resumed fit does not count what came before.
        frames_per_second: training speed of this call, 0 when there was nothing left to do.
        epochs: how far in its epochs the fit came, in all calls.
        ended: "done" after the last epoch; "plateau" when a part stopped early; "time limit".
        rollbacks: how often it collapsed and went back.
        unsaved: why the finished state could not be saved, None where it was, or no resume file was asked for.
    """

    model: VideoModel
    psnr_db: float
    loss: float
    seconds: float
    frames_per_second: float
    epochs: float
    ended: Ending
    rollbacks: int
    unsaved: OutputError | None


def build_for_training(architecture: str, config: ModelConfig, recipe: Recipe) -> VideoModel:
    """Build a network with its encoder and the initial weights of the recipe's seed, as the official code draws them.

    Args:
        architecture: registry name.
        config: its configuration.
        recipe: only the seed is used.

    Raises:
        UnknownNameError, UsageError: see `nervplay.models.build_model`.
    """
    torch.manual_seed(recipe.seed)
    return build_model(architecture, config, encoder=True)


def fit(
    model: VideoModel,
    source: FrameSource,
    recipe: Recipe,
    *,
    hooks: PhaseHooks | None = None,
    device: str = "auto",
    resume: Path | None = None,
    save_every: float = 5.0,
    time_limit: float | None = None,
    frame_memory: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> FitResult:
    """Fit a network to a clip.

    On one machine, device and number of threads, equal arguments give equal weights, bit for bit; so does a run that
    was stopped or killed at any moment and resumed, any number of times. A time limit that ends a fit is an exception:
    what it cuts off depends on the speed of the day. So is a network on a GPU that enlarges maps bilinearly or warps
    them (HiNeRV, SRNeRV, FFNeRV, some HNeRV): PyTorch adds up their gradients there in any order.

    A fit that collapses goes back to its last good state and halves its rate, as often as the recipe allows.

    Args:
        model: fresh from `build_for_training`, or one that was fitted before; changed in place. A network of per-frame
            embeddings that has no encoder keeps the embeddings that it has.
        source: the clip; all frames are read once and kept as uint8.
        recipe: how to fit.
        hooks: how its phases prune and quantise; the default prunes nothing and quantises as HiNeRV does.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".
        resume: the resume file (`resume_path` names it): gone on from where it exists, written where it does not. It
            stays after the last step, so that a kill before the result is stored costs nothing; the caller removes it.
        save_every: seconds between two saves; more where a save takes long; 0 saves at every look.
        time_limit: seconds of training, of this run and those that it resumes; over the last fifth the rate comes down
            to 0, so that the weights are ready. Phases that have not begun by then are left out. At least one step is
            done.
        frame_memory: bytes of main memory that the decoded frames may take, None for half of what is available; more
            frames go into a nameless file in the folder of `resume`, which changes no bit of the result.
        progress: told how far the fit is, at most ten times a second and after the last step.
        stop: asked after every step; `stop_on_signals` makes one of Ctrl-C.

    Returns:
        The network with its embeddings stored, and figures.

    Raises:
        GeometryError: a clip of another size or length than the network stands for, or too small for the loss.
        UsageError: more frames per batch than the clip has; a phase that prunes without a hook; a fit that collapses
            again and again (a loss that is not finite is named with its epoch and step).
        CapabilityError: no such device, too little memory on it, or no compiler for speed "compiled".
        CheckpointError: a resume file that is damaged or belongs to another run.
        OutputError: `stop` returned true and the resume file cannot be written; the older one stays. A save that fails
            otherwise is tried again, see `FitResult.unsaved`. Or no room on the disk for frames over `frame_memory`; or
            another run has begun meanwhile to save its state in `resume`.
        Interrupted: `stop` returned true; the state is in the resume file.
    """
    _check_geometry(model.config, source.spec)
    target = resolve_device(device)
    task = parse_task(recipe.task)
    folder = None if resume is None else resume.parent
    frames = ClipFrames(source, target, budget=frame_memory, folder=folder, task=task)
    with _memory_told(target), deterministic(target), get_speed(recipe.speed, target).settings():
        run = Run(model.to(target).train(), frames, recipe, hooks, TimeLimit(time_limit))
        identity = identity_of(model, recipe, source.spec, frames)
        resumed = resume is not None and resume.exists()
        if resume is not None and resumed:
            run.load(resume, identity)
        watch = Watch(
            run, identity, resume=resume, resumed=resumed, save_every=save_every, progress=progress, stop=stop
        )
        ended = _train(run, watch)
        watch.report()
        watch.save()
        seconds, speed = watch.speed()
        run.finish()
        _store_embeddings(model, frames, task)
    psnr_db, loss = run.record.means(run.step)
    return FitResult(
        model=model.cpu(),
        psnr_db=psnr_db,
        loss=loss,
        seconds=seconds,
        frames_per_second=speed,
        epochs=run.finished_steps / run.steps,
        ended=ended,
        rollbacks=run.course.guard.rollbacks,
        unsaved=watch.unsaved,
    )


@contextmanager
def _memory_told(device: torch.device) -> Iterator[None]:
    """Raise `CapabilityError` where the block runs out of a GPU's memory; the resume file stays as it was."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise CapabilityError(
            f"{device} has too little free memory for this fit; use a smaller batch size (with more batches per "
            "update), smaller frames or a smaller network, or --device cpu"
        ) from None


def _train(run: Run, watch: Watch) -> Ending:
    """Do all steps of a fit and return what ended it."""
    last, epoch, limit = run.recipe.total_epochs, run.epoch, run.course.limit
    early = False
    while epoch < last:
        if limit.reached and run.step:  # a resumed fit, or one between two epochs
            return "time limit"
        for step in range(run.begin_epoch(epoch), run.steps):
            run.train_step(step)
            if not watch.between_steps():
                break
            if limit.reached:
                run.leave_epoch()
                return "time limit"
        before, epoch = run.epoch, run.end_epoch()
        early = early or epoch > before + 1
    return "plateau" if early else "done"


def _check_geometry(config: ModelConfig, spec: VideoSpec) -> None:
    """Raise `GeometryError` when the network does not stand for this clip."""
    has, needs = (f"{it.frame_count} frames of {it.width}x{it.height}" for it in (spec, config))
    if has != needs:
        raise GeometryError(
            f"the clip has {has}, the network stands for {needs}; configure it so, or crop, scale or cut the clip"
        )


def _store_embeddings(model: VideoModel, frames: ClipFrames, task: Task) -> None:
    """Put the network into eval mode and let it store its embeddings, frame by frame as the official evaluation does.

    An unseen frame gets the mean of its neighbours' embeddings (official Boosting-NeRV, `--embed_inter`), or that
    of the frame before where none follows.

    Raises:
        UsageError: weights or embeddings that are not finite.
    """
    model.eval()
    count = model.config.frame_count
    seen = task.seen(count)
    for i in seen:
        index = torch.tensor([i], device=frames.index_device)
        model.store_embeddings(index.to(frames.device), frames.batch(model.source_index(index)))
    state = model.stored_state()  # no copies, and under these names where a network is wrapped, too
    tables = [state[name] for name in model.embedding_names if model.has_encoder]
    for i in sorted(set(range(count)) - set(seen)):
        for table in tables:
            table[i] = table[i - 1 : i + 2 : 2].mean(0)
    for name, value in model.stored_state().items():
        if not torch.isfinite(value).all():
            raise UsageError(f"the fit ended with '{name}' not finite; use a lower learning rate")
