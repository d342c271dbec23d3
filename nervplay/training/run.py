"""The state of a fit and one step of it; `nervplay.training.loop` drives it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from nervplay.errors import UsageError
from nervplay.metrics.psnr import float_psnr
from nervplay.models.base import TrainingPair, VideoModel
from nervplay.training.batches import make_batches
from nervplay.training.checkpoint import ResumeState, read_resume_file, write_resume_file
from nervplay.training.frames import ClipFrames, epoch_order
from nervplay.training.losses import get_loss
from nervplay.training.optimisers import get_optimiser
from nervplay.training.phases import PhaseHooks
from nervplay.training.progress import EpochRecord
from nervplay.training.recipes import Recipe
from nervplay.training.schedule import Position, parse_schedule
from nervplay.training.shaping import WeightShaping
from nervplay.training.state import capture, restore

__all__ = ["Run", "deterministic"]


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Make equal inputs give equal bits while the block runs; the previous settings come back after it.

    On the CPU PyTorch's deterministic algorithms cost nothing measurable (without filling fresh memory, which would);
    on CUDA cuDNN chooses among deterministic ones.
    """
    cudnn = torch.backends.cudnn
    memory: Any = torch.utils.deterministic  # its attribute is a property that type checkers do not see
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    flags = cudnn.deterministic, cudnn.benchmark, memory.fill_uninitialized_memory
    try:
        if device.type == "cpu":
            memory.fill_uninitialized_memory = False
            torch.use_deterministic_algorithms(mode=True)
        else:
            cudnn.deterministic, cudnn.benchmark = True, False
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark, memory.fill_uninitialized_memory = flags


class Run:
    """Network, optimiser, frames and position of one fit.

    Args:
        model: on the device of `frames`, in training mode.
        frames: the clip.
        recipe: how to fit.
        hooks: what its phases do to weights.

    Attributes:
        epoch: the current epoch, counted from 0 through all phases.
        step: finished steps of it.
        steps: steps per epoch.
        frames_per_step: frames that a step sees; a patch counts as its part of a frame.
        shaping: what the phases do to the weights.
    """

    def __init__(self, model: VideoModel, frames: ClipFrames, recipe: Recipe, hooks: PhaseHooks | None = None) -> None:
        self.model, self.frames, self.recipe = model, frames, recipe
        self.shaping = WeightShaping(model, hooks or PhaseHooks())
        self._batches = make_batches(model, frames, recipe)
        self.steps = self._batches.count // recipe.batch_size
        if self.steps == 0:
            what = f"the {self._batches.count} {self._batches.noun} of the clip"
            raise UsageError(f"batch size {recipe.batch_size} is more than {what}; lower it")
        self.frames_per_step = recipe.batch_size * self._batches.share
        self.epoch = self.step = 0
        self.record = EpochRecord(self.steps, recipe.batch_size, frames.device)
        self.optimiser = self._fresh_optimiser()
        self._loss = get_loss(recipe.loss)
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
        self._enter(begins=self.step == 0)
        self._order = epoch_order(self.recipe.seed, epoch, self._batches.count).to(self.frames.index_device)
        return self.step

    def _fresh_optimiser(self) -> Optimizer:
        """Return the recipe's optimiser without a past."""
        recipe = self.recipe
        make = get_optimiser(recipe.optimiser).make
        optimiser: Optimizer = make(self.model.parameters(), lr=recipe.learning_rate, betas=recipe.betas)
        return optimiser

    def _enter(self, *, begins: bool) -> None:
        """Go into the part of the fit that the epoch belongs to; a phase begins with its first epoch, or is resumed."""
        phase, self._phase_epoch = self.recipe.stage_of(self.epoch)
        self._phase_epochs = phase.epochs if phase else self.recipe.epochs
        self._rate = self.recipe.learning_rate * (phase.rate if phase else 1.0)
        self._schedule = parse_schedule(phase.schedule if phase else self.recipe.schedule)
        begins = begins and phase is not None and self._phase_epoch == 0
        if begins:
            self.optimiser = self._fresh_optimiser()
        self.shaping.enter(phase, begins=begins)

    def train_step(self, step: int) -> None:
        """Do step `step` of the current epoch: rate, forward, loss, backward, update, record."""
        position = Position(self._phase_epoch, self._phase_epochs, step, self.steps, self._batches.count)
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate * self._schedule(position)
        size = self.recipe.batch_size
        items = self._order[step * size : (step + 1) * size]
        pairs = self.shaping.pairs(lambda model: self._batches.pairs(model, items))
        self._learn(step, pairs)

    def _learn(self, step: int, pairs: Sequence[TrainingPair]) -> None:
        """Compute the loss, go one step against its gradient, record both."""
        losses = [pair.weight * self._loss(pair.prediction, pair.target) for pair in pairs]
        loss = torch.stack(losses).sum() if len(losses) > 1 else losses[0]
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        if self.recipe.grad_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.grad_clip)
        self.optimiser.step()
        self.record.add(step, loss, float_psnr(pairs[-1].prediction, pairs[-1].target))
        self.step = step + 1

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
        tensors = capture(self.model, self.optimiser, self._recorded())
        write_resume_file(path, ResumeState(epoch=self.epoch, step=self.step, tensors=tensors), identity)

    def load(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Go where the resume file stands.

        Raises:
            CheckpointError: it is not one, it is damaged, or it belongs to another run.
        """
        state = read_resume_file(path, identity)
        self._expect_masks(state.tensors)
        restore(self.model, self.optimiser, self._recorded(), state.tensors, path)
        self.epoch, self.step = state.epoch, state.step

    def _expect_masks(self, tensors: Mapping[str, Tensor]) -> None:
        """Make room for the masks of the parameters that have one in a resume file."""
        masked = ((name, p) for name, p in self.model.named_parameters() if f"mask.{name}" in tensors)
        self.shaping.take_masks({name: torch.ones_like(p, dtype=torch.bool) for name, p in masked})

    def _recorded(self) -> dict[str, Tensor]:
        """Return the record of the epoch and the masks by the names of the resume file."""
        masks = {f"mask.{name}": mask for name, mask in self.shaping.masks.items()}
        return {"epoch.losses": self.record.losses, "epoch.psnrs": self.record.psnrs, **masks}
