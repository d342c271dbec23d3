"""Which tensors lie side by side, and how they are laid like others."""

import torch

from nervplay.training.native.maps import is_dense, laid_as


def test_dense() -> None:
    x = torch.zeros(2, 3, 4, 6)
    assert is_dense(x)
    assert is_dense(x.contiguous(memory_format=torch.channels_last))
    assert is_dense(torch.zeros(()))
    assert not is_dense(x[..., ::2])
    assert not is_dense(x.permute(0, 1, 3, 2))


def test_laid_as_another() -> None:
    torch.manual_seed(0)
    x, form = torch.randn(2, 3, 4, 6), torch.empty(2, 3, 4, 6, memory_format=torch.channels_last)
    laid = laid_as(x, form)
    assert torch.equal(laid, x)
    assert laid.stride() == form.stride()
    assert laid_as(laid, form) is laid


def test_axes_of_one_are_laid_like_any() -> None:
    x = torch.randn(5, 4, 1, 1)
    assert laid_as(x, torch.empty(5, 4, 1, 1).as_strided((5, 4, 1, 1), (4, 1, 4, 4))) is x
