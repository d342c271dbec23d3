"""How much each stored number matters to the picture: what an error in it adds to the squared error of the frames.

With f the frames, w the stored numbers and J their Jacobian, small independent errors d add about sum_i h_i d_i**2 with
h = diag(J^T J). A vector r of random signs has E[(J^T r)_i**2] = h_i (M. Hutchinson, Communications in Statistics 19,
1990), so one backward pass per frame estimates all of h. The target is what the network itself decodes to: no source is
needed.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nervplay.codec.fake_quantise import swapped
from nervplay.models.base import VideoModel

__all__ = ["output_importance", "spread_frames"]


def spread_frames(frame_count: int, samples: int) -> list[int]:
    """Return at most `samples` frame indices, evenly spread, from the middle of equal parts of the clip."""
    parts = min(samples, frame_count)
    return [(2 * part + 1) * frame_count // (2 * parts) for part in range(parts)]


def output_importance(
    model: VideoModel,
    frames: Sequence[int],
    *,
    seed: int = 0,
    step: Callable[[int], None] | None = None,
) -> dict[str, Tensor]:
    """Return the importance of every stored number, in its tensor's shape, float32 on the CPU.

    The unit is mean squared error of a frame per squared error of the number; of an embedding, whose rows each serve
    one frame, it is that of the whole clip: all rows get the mean of those that were looked at.

    Args:
        model: in eval mode; its weights stay as they are.
        frames: indices of the frames to look at; one backward pass each.
        seed: of the random signs.
        step: told the number of finished frames, after each.
    """
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    leaves = {name: value.detach().clone().requires_grad_() for name, value in _floats(model).items()}
    sums = {name: torch.zeros_like(value, requires_grad=False) for name, value in leaves.items()}
    for done, index in enumerate(frames, start=1):
        with torch.enable_grad(), swapped(model, leaves):
            picture = model(torch.tensor([index], device=device))
            signs = torch.randint(0, 2, picture.shape, generator=generator).to(device) * 2.0 - 1.0
            found = torch.autograd.grad((picture * signs).sum(), list(leaves.values()), allow_unused=True)
        for name, gradient in zip(leaves, found, strict=True):
            if gradient is not None:
                sums[name] += gradient.square() / picture.numel()
        if step is not None:
            step(done)
    return {name: _mean(model, name, total, len(frames)) for name, total in sums.items()}


def _floats(model: VideoModel) -> dict[str, Tensor]:
    return {name: value for name, value in model.stored_state().items() if value.is_floating_point()}


def _mean(model: VideoModel, name: str, total: Tensor, frames: int) -> Tensor:
    """Return the importance out of the sum over frames."""
    if name in model.embedding_names:
        rows = total.shape[0]
        return (total.sum(0, keepdim=True) / (frames * rows)).expand_as(total).contiguous().cpu()
    return (total / frames).cpu()
