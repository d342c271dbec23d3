"""A GPU that is listed but cannot compute."""

from collections.abc import Iterator

import pytest
import torch

from nervplay.decode.cuda import usable


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    usable.why_not_usable.cache_clear()
    yield
    usable.why_not_usable.cache_clear()  # what a test pretended


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_named_in_one_line() -> None:
    reason = usable.why_not_usable(torch.device("cuda"))
    assert reason
    assert "\n" not in reason
    assert not reason.endswith(".")


def test_a_device_that_computes() -> None:
    place = "cuda" if torch.cuda.is_available() else "cpu"
    assert usable.why_not_usable(torch.device(place)) is None


def test_only_the_first_line_of_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available.\nCompile with ...")

    monkeypatch.setattr(usable.torch, "ones", fail)
    assert usable.why_not_usable(torch.device("cuda")) == "CUDA error: no kernel image is available"
