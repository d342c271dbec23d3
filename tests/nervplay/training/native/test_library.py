"""The calls of the kernels: any number of threads, from any thread and process."""

import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nervplay.decode.native.build import BuildError
from nervplay.training.native import library
from nervplay.training.native.depthwise import depthwise
from nervplay.training.native.library import Kernels


def convolve(seed: int) -> Tensor:
    found = library.kernels()
    assert found is not None
    generator = torch.Generator().manual_seed(seed)
    return depthwise(
        found, *(torch.randn(shape, generator=generator) for shape in ((1, 16, 20, 24), (16, 1, 3, 3), (16,)))
    )


@pytest.mark.usefixtures("kernels")
def test_calls_of_several_threads_wait_for_each_other() -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(convolve, range(40)))
    assert all(torch.equal(result, convolve(seed)) for seed, result in enumerate(results))


@pytest.mark.usefixtures("kernels")
def test_the_pool_follows_pytorch_s_number_of_threads() -> None:
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3, 2):
            torch.set_num_threads(threads)
            results.append(convolve(0))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(results[0], result) for result in results)


@pytest.mark.usefixtures("kernels")
def test_threads_of_its_own_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    before, results = torch.get_num_threads(), []
    try:
        for team in (library._openmp(), None):
            monkeypatch.setattr(library, "_openmp", lambda team=team: team)
            torch.set_num_threads(3)
            results.append(convolve(0))
            torch.set_num_threads(2)
            results.append(convolve(0))
    finally:
        monkeypatch.undo()
        torch.set_num_threads(before + 1)
        convolve(0)  # another number, and PyTorch's threads compute again
        torch.set_num_threads(before)
    assert all(torch.equal(results[0], result) for result in results)


_COUNT = """
import os, torch
torch.set_num_threads(2)
torch.ones(1 << 20).sum()
before = len(os.listdir("/proc/self/task"))
from nervplay.training.native.depthwise import depthwise
from nervplay.training.native.library import kernels
depthwise(kernels(), torch.ones(1, 16, 20, 24), torch.ones(16, 1, 3, 3), torch.ones(16))
print(before, len(os.listdir("/proc/self/task")))
"""


@pytest.mark.usefixtures("kernels")
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system does not list threads")
@pytest.mark.skipif(library._openmp() is None, reason="this PyTorch has another library of threads")
def test_pytorch_s_threads_compute_and_no_others() -> None:
    """Two sets of threads, each waiting for work, would take the processor from each other."""
    ended = subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True, check=True)
    before, after = map(int, ended.stdout.split())
    assert before == after


def _sum(seed: int) -> float:
    return convolve(seed).sum().item()


@pytest.mark.usefixtures("kernels")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_a_forked_process_has_threads_of_its_own() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        expected = _sum(1)
        with multiprocessing.get_context("fork").Pool(1) as pool:
            assert pool.apply_async(_sum, (1,)).get(timeout=60) == expected
    finally:
        torch.set_num_threads(before)


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.so").write_bytes(b"nothing")
    with pytest.raises(BuildError, match="cannot be loaded"):
        Kernels(tmp_path / "a.so")
