"""One call for all parameters does what PyTorch's Adam does, on the same state."""

import pytest
import torch
from torch import Tensor, nn

from nervplay.training.native.adam import adam_step, takes
from nervplay.training.native.library import Kernels

SHAPES = [(), (5,), (3, 40), (17, 13, 3, 3), (130, 129), (40000,)]


def parameters(*, last: bool = False) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(shape, generator=generator) for shape in SHAPES]
    if last:
        made = [it.contiguous(memory_format=torch.channels_last) if it.ndim == 4 else it for it in made]
    return [nn.Parameter(it) for it in made]


def give_gradients(found: list[nn.Parameter], step: int) -> None:
    generator = torch.Generator().manual_seed(step + 1)
    for parameter in found:
        parameter.grad = 10.0 ** (-step) * torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.999), (0.0, 0.9)])
def test_steps_are_those_of_float64(kernels: Kernels, betas: tuple[float, float], *, last: bool) -> None:
    ours, exact = parameters(last=last), [nn.Parameter(it.detach().double()) for it in parameters()]
    optimisers = [torch.optim.Adam(it, lr=1e-2, betas=betas) for it in (ours, exact)]
    for step in range(7):
        for found, optimiser in zip((ours, exact), optimisers, strict=True):
            optimiser.param_groups[0]["lr"] = 1e-2 / (step + 1)
            give_gradients(ours, step)
            if found is exact:
                for it, other in zip(exact, ours, strict=True):
                    assert other.grad is not None
                    it.grad = other.grad.double()
        assert takes(optimisers[0])
        adam_step(kernels, optimisers[0])
        optimisers[1].step()
    for it, other in zip(ours, exact, strict=True):
        torch.testing.assert_close(it.detach().double(), other.detach(), rtol=0, atol=1e-6)
        state, expected = optimisers[0].state[it], optimisers[1].state[other]
        assert state.keys() == expected.keys()
        assert state["step"] == expected["step"] == 7
        for name in ("exp_avg", "exp_avg_sq"):
            assert (state[name].double() - expected[name]).norm() <= 1e-6 * expected[name].norm()
            assert state[name].stride() == it.stride()


def test_pytorch_goes_on_where_the_kernels_were(kernels: Kernels) -> None:
    results: list[list[Tensor]] = []
    for ours in (True, False):
        found = parameters()
        optimiser = torch.optim.Adam(found, lr=1e-2, fused=True)
        for step in range(6):
            give_gradients(found, step)
            if ours and step % 2:
                adam_step(kernels, optimiser)
            else:
                optimiser.step()
        results.append([it.detach() for it in found])
    for it, other in zip(*results, strict=True):
        torch.testing.assert_close(it, other, rtol=1e-5, atol=1e-6)


def test_what_has_no_gradient_is_left_alone(kernels: Kernels) -> None:
    used, unused = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimiser = torch.optim.Adam([used, unused], lr=0.1)
    used.grad = torch.full((3,), 2.0)
    adam_step(kernels, optimiser)
    torch.testing.assert_close(used.detach(), torch.full((3,), 0.9))
    assert torch.equal(unused, torch.ones(3))
    assert not optimiser.state[unused]
    optimiser.zero_grad()
    adam_step(kernels, optimiser)  # nothing at all to do
    assert optimiser.state[used]["step"] == 1


def test_threads_change_no_bit(kernels: Kernels) -> None:
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found = parameters()
            optimiser = torch.optim.Adam(found, lr=1e-2)
            give_gradients(found, 0)
            adam_step(kernels, optimiser)
            results.append(found)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(it, other) for it, other in zip(*results, strict=True))


def test_other_optimisers_are_not_taken() -> None:
    weights = [nn.Parameter(torch.ones(3))]
    assert takes(torch.optim.Adam(weights))
    assert not takes(torch.optim.Adam(weights, weight_decay=0.1))
    assert not takes(torch.optim.Adam(weights, amsgrad=True))
    assert not takes(torch.optim.AdamW(weights))
    assert not takes(torch.optim.Adam([nn.Parameter(torch.ones(3, dtype=torch.float64))]))
    assert not takes(torch.optim.Adam([nn.Parameter(torch.ones(3, 4)[:, ::2])]))
