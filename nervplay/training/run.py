"""The state of a fit and one step of it; `nervplay.training.loop` drives it."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from nervplay.errors import UsageError
from nervplay.models.base import TrainingPair, VideoModel
from nervplay.training.averaging import WeightMean
from nervplay.training.batches import check_batches, make_batches
from nervplay.training.checkpoint import ResumeState, read_resume_file, write_resume_file
from nervplay.training.course import PREFIX, Course
from nervplay.training.ending import TimeLimit
from nervplay.training.frames import ClipFrames, epoch_order
from nervplay.training.guard import SavedEpoch
from nervplay.training.losses import get_loss
from nervplay.training.optimisers import get_optimiser
from nervplay.training.phases import PhaseHooks
from nervplay.training.progress import EpochRecord
from nervplay.training.recipes import Recipe
from nervplay.training.schedule import Position, parse_schedule
from nervplay.training.shaping import WeightShaping
from nervplay.training.speed import get_speed
from nervplay.training.state import capture, check, load, restore, snapshot
from nervplay.video.tasks import parse_task

__all__ = ["Run", "deterministic"]

_LOG = logging.getLogger(__name__)


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Make equal inputs give equal bits while the block runs; the previous settings come back after it.

    On the CPU PyTorch's deterministic algorithms cost nothing measurable (without filling fresh memory, which would);
    on CUDA cuDNN chooses among deterministic ones. (`torch.use_deterministic_algorithms` imports PyTorch's compiler for
    seconds, to tell it what `Speed.compiled` does.)
    """
    cudnn = torch.backends.cudnn
    memory: Any = torch.utils.deterministic  # its attribute is a property that type checkers do not see
    before = torch.get_deterministic_debug_mode()
    flags = cudnn.deterministic, cudnn.benchmark, memory.fill_uninitialized_memory
    try:
        if device.type == "cpu":
            memory.fill_uninitialized_memory = False
            torch.set_deterministic_debug_mode("error")
        else:
            cudnn.deterministic, cudnn.benchmark = True, False
        yield
    finally:
        torch.set_deterministic_debug_mode(before)
        cudnn.deterministic, cudnn.benchmark, memory.fill_uninitialized_memory = flags


class Run:
    """Network, optimiser, frames and position of one fit.

    Args:
        model: on the device of `frames`, in training mode.
        frames: the clip.
        recipe: how to fit.
        hooks: what its phases do to weights.
        limit: how long it may take; its clock runs already.

    Attributes:
        epoch: the current epoch, counted from 0 through all phases.
        step: finished steps of it.
        steps: steps per epoch.
        frames_per_step: frames that a step sees; a patch counts as its part of a frame.
        shaping: what the phases do to the weights.
        course: collapses, plateaus and the time limit.
    """

    def __init__(
        self,
        model: VideoModel,
        frames: ClipFrames,
        recipe: Recipe,
        hooks: PhaseHooks | None = None,
        limit: TimeLimit | None = None,
    ) -> None:
        self.model, self.frames, self.recipe = model, frames, recipe
        self._speed = get_speed(recipe.speed, frames.device)
        self._speed.prepare(model)
        self._mean = WeightMean(model, recipe.ema)
        self.shaping = WeightShaping(model, hooks or PhaseHooks())
        self._batches = make_batches(model, frames, recipe)
        check_batches(recipe, model.config)
        visible = parse_task(recipe.task).visible(model.config.width, model.config.height)
        self._mask = None if visible is None else torch.from_numpy(visible).float()[None].to(frames.device)
        self.steps = self._batches.count // recipe.update_size
        self.frames_per_step = recipe.update_size * self._batches.share
        self.epoch = self.step = 0
        self._returned = False
        self.course = Course(self._batches.count, frames.device, recipe, limit or TimeLimit(None))
        self.record = EpochRecord(self.steps, recipe.update_size, frames.device)
        self.optimiser = self._fresh_optimiser()
        self._loss = get_loss(recipe.loss, fused=self._speed.fused, kernels=self._speed.kernels)
        self._objective = self._speed.compiled(self._eager_objective)
        self._order = torch.empty(0)
        self._enter(begins=False)

    @property
    def finished_steps(self) -> int:
        """Steps done so far, in all epochs."""
        return self.epoch * self.steps + self.step

    def begin_epoch(self, epoch: int) -> int:
        """Draw the order of epoch `epoch` and return its first step: not 0 when a resumed run stands in it."""
        if epoch != self.epoch:
            self.epoch, self.step = epoch, 0
        begins = self.step == 0 and not self._returned
        self._returned = False
        self._enter(begins=begins)
        if begins and self._phase_epoch == 0:
            self.course.plateau.begin()
            if self.recipe.rollbacks:
                self.course.guard.begin(self._start_of(epoch))
        self._order = epoch_order(self.recipe.seed, epoch, self._batches.count).to(self.frames.index_device)
        return self.step

    def end_epoch(self) -> int:
        """Judge the epoch that has ended, or in which the fit has diverged.

        Returns:
            The epoch to go on with: the next one, one of before after a collapse, the first one of the next part where
            this part stopped early; `total_epochs` when the fit is over.

        Raises:
            UsageError: the fit has diverged, and going back has not helped.
        """
        reason = self._verdict()
        if reason is not None:
            return self._go_back(reason)
        epoch = self.epoch + 1
        if self.course.plateau.epoch_ended(self.record.means(self.steps)[0]):
            epoch += self._phase_epochs - self._phase_epoch - 1
        if self.recipe.rollbacks and epoch < self.recipe.total_epochs:
            self.course.guard.passed(self._start_of(epoch))
        return epoch

    def leave_epoch(self) -> None:
        """Judge an epoch that a time limit has cut short; after a collapse the last good state is loaded."""
        reason = self._verdict()
        if reason is not None:
            self._go_back(reason)
            self.step = 1  # a finished fit stands behind a step

    def _verdict(self) -> str | None:
        """Return why the finished steps of this epoch are a collapse; None when they are fine, which is noted."""
        if self.has_diverged:
            return "the loss is not finite"
        trained = (parameter for parameter in self.model.parameters() if parameter.grad is not None)
        if self.recipe.rollbacks and not all(bool(torch.isfinite(it).all()) for it in trained):
            return "the weights are not finite"
        guard, seen = self.course.guard, self.step * self.recipe.update_size
        items = self._order[:seen].to(guard.best.device)
        if self.recipe.rollbacks and guard.has_collapsed(items, self.record.all[:seen]):
            return "the frames have become much worse than they were"
        return None

    def _start_of(self, epoch: int) -> SavedEpoch:
        """Return the state as the one that `epoch` begins with."""
        mean = {name: value.clone() for name, value in self._mean.tensors().items()}
        return SavedEpoch(epoch, snapshot(self.model, self.optimiser) | mean)

    def _go_back(self, reason: str) -> int:
        """Load the last good state, lower the rate for the rest of the fit, and return the epoch to go on with.

        Raises:
            UsageError: it has been done as often as the recipe allows.
        """
        guard = self.course.guard
        if guard.rollbacks >= self.recipe.rollbacks:
            self.check_finite()
            raise UsageError(
                f"the fit collapsed in epoch {self.epoch + 1} of {self.recipe.total_epochs}: {reason}; use a lower "
                f"learning rate than {self.recipe.learning_rate:g}"
            )
        state = guard.go_back()
        load(self.model, self.optimiser, state.tensors)
        self._mean.load(state.tensors)
        _LOG.warning(
            "epoch %d: %s; going back to the beginning of epoch %d with %g of the rate",
            self.epoch + 1,
            reason,
            state.epoch + 1,
            guard.rate,
        )
        self.epoch, self.step, self._returned = state.epoch, 0, True
        return state.epoch

    def _fresh_optimiser(self) -> Optimizer:
        """Return the recipe's optimiser without a past."""
        recipe = self.recipe
        kind = get_optimiser(recipe.optimiser)
        options = {"fused": True} if self._speed.fused and kind.can_be_fused else {}
        return kind.build(self.model, lr=recipe.learning_rate, betas=recipe.betas, **options)

    def _enter(self, *, begins: bool) -> None:
        """Go into the part of the fit that the epoch belongs to; a phase begins with its first epoch, or is resumed."""
        phase, self._phase_epoch = self.recipe.stage_of(self.epoch)
        self._phase_epochs = phase.epochs if phase else self.recipe.epochs
        self._rate = self.recipe.learning_rate * (phase.rate if phase else 1.0)
        self._schedule = parse_schedule(phase.schedule if phase else self.recipe.schedule)
        begins = begins and phase is not None and self._phase_epoch == 0
        if begins:
            if self.recipe.epochs and self.epoch == self.recipe.epochs:
                self._mean.put()
            self.optimiser = self._fresh_optimiser()
        self.shaping.enter(phase, begins=begins)

    def train_step(self, step: int) -> None:
        """Do step `step` of the current epoch: rate, forward, loss, backward, update, record."""
        position = Position(self._phase_epoch, self._phase_epochs, step, self.steps, self._batches.count)
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate * self._schedule(position) * self.course.rate(step / self.steps)
        size = self.recipe.update_size
        self._learn(step, self._order[step * size : (step + 1) * size])

    def _learn(self, step: int, items: Tensor) -> None:
        """Compute the loss of `items`, go one step against its gradient, record both."""
        self.optimiser.zero_grad(set_to_none=True)
        count = self.recipe.accumulate
        results = [self._descend(batch, count) for batch in torch.tensor_split(items, count)]
        loss, psnr = torch.stack([loss for loss, _ in results]).mean(), torch.cat([psnr for _, psnr in results])
        if self.recipe.grad_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.grad_clip)
        self._speed.update(self.optimiser)
        if self.epoch < self.recipe.epochs:
            self._mean.add(self.finished_steps + 1)
        self.record.add(step, loss, psnr)
        self.step = step + 1

    def _descend(self, items: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Add the gradient of one of `count` batches to that of the others; return its loss and its items' PSNR."""
        inputs = [self._speed.laid(tensor) for tensor in self._batches.inputs(self.model, items)]
        objective = self._eager_objective if self.shaping.is_active else self._objective
        loss, psnr = objective(*inputs)
        (loss / count if count > 1 else loss).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        if count > 1 and self._speed.graphs:  # the next batch would be added to what a graph has overwritten
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter.grad = parameter.grad.clone()
        return loss.detach().clone(), psnr.clone()  # a CUDA graph writes the next ones over these

    def _eager_objective(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss, a scalar with a gradient, and the PSNR of every item in dB, (B,)."""
        with self._speed.arithmetic(self.model):
            pairs = self.shaping.pairs(lambda model: self._batches.pairs(model, *inputs))
        pairs = [self._visible(pair._replace(prediction=pair.prediction.float())) for pair in pairs]
        losses = [pair.weight * self._loss(pair.prediction, pair.target) for pair in pairs]
        loss = torch.stack(losses).sum() if len(losses) > 1 else losses[0]
        return loss, self._speed.psnr(pairs[-1].prediction, pairs[-1].target)

    def _visible(self, pair: TrainingPair) -> TrainingPair:
        """Return a term of the loss without what lies in holes, of which coarser terms lose every cell they touch."""
        if self._mask is None:
            return pair
        rows, columns = pair.target.shape[-2:]
        mask = torch.floor(F.adaptive_avg_pool2d(self._mask, (rows, columns)))
        mask = mask.view(*(1,) * (pair.target.ndim - 2), *mask.shape[-2:])
        return pair._replace(prediction=pair.prediction * mask, target=pair.target * mask)

    def finish(self) -> None:
        """Make the weights those that the fit ends with."""
        if self.epoch < self.recipe.epochs:
            self._mean.put()
        self.shaping.fold()

    @property
    def has_diverged(self) -> bool:
        """Whether a loss of this epoch is not finite."""
        return self.record.bad_step(self.step) is not None

    def check_finite(self) -> None:
        """Raise when the fit has diverged.

        Raises:
            UsageError: a loss of this epoch is not finite; the message names the step and the way out.
        """
        bad = self.record.bad_step(self.step)
        if bad is not None:
            step, loss = bad
            raise UsageError(
                f"the loss became {loss} in epoch {self.epoch + 1} of {self.recipe.total_epochs}, step {step + 1} "
                f"of {self.steps}; use a lower learning rate than {self.recipe.learning_rate:g}"
            )

    def save(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Write the resume file.

        Raises:
            OutputError: it cannot be written.
        """
        tensors = capture(self.model, self.optimiser, self._recorded() | self.course.tensors())
        write_resume_file(path, ResumeState(epoch=self.epoch, step=self.step, tensors=tensors), identity)

    def load(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Go where the resume file stands.

        Raises:
            CheckpointError: it is not one, it is damaged, or it belongs to another run.
        """
        state = read_resume_file(path, identity)
        own = {name: value for name, value in state.tensors.items() if not name.startswith(PREFIX)}
        self._expect_masks(own)

        def sound(tensors: Mapping[str, Tensor]) -> None:
            check(self.model, self.optimiser, self._mean.tensors(), tensors, path)

        self.course.take(state.tensors, sound, path)
        restore(self.model, self.optimiser, self._recorded(), own, path)
        self.epoch, self.step = state.epoch, state.step

    def _expect_masks(self, tensors: Mapping[str, Tensor]) -> None:
        """Make room for the masks of the parameters that have one in a resume file."""
        masked = ((name, p) for name, p in self.model.named_parameters() if f"mask.{name}" in tensors)
        self.shaping.take_masks({name: torch.ones_like(p, dtype=torch.bool) for name, p in masked})

    def _recorded(self) -> dict[str, Tensor]:
        """Return the record of the epoch, the masks and the mean of the weights by the names of the resume file."""
        masks = {f"mask.{name}": mask for name, mask in self.shaping.masks.items()}
        record = {"epoch.losses": self.record.losses, "epoch.psnrs": self.record.psnrs}
        return record | masks | self._mean.tensors()
