"""Networks as programs: float32 by PyTorch is the network itself, int8 by the kernel is int8 by PyTorch."""

from typing import Any

import numpy as np
import pytest
import torch
from decoder_networks import SPEC, TINY, network
from torch.utils._pytree import tree_iter

from nervplay.decode.carried import every_convolution
from nervplay.decode.cuda.bench import DeviceBench
from nervplay.decode.cuda.engines import run_torch, triton_engine
from nervplay.decode.cuda.packing import Layer, takes
from nervplay.decode.cuda.program import DeviceProgram
from nervplay.decode.graph import trace
from nervplay.decode.lowering import Conv, lower
from nervplay.decode.quantise import Integers, Units
from nervplay.decode.w8a8 import channels_of, integers_from
from nervplay.models.shapes import ShapesOnly

CPU, META = torch.device("cpu"), torch.device("meta")


def check_all_are_there(*leaves: object) -> None:
    """Raise where a tensor lies on the host: a CUDA graph would not record what becomes of it."""
    for leaf in tree_iter(leaves):
        assert not isinstance(leaf, torch.Tensor) or leaf.is_meta, f"{tuple(leaf.shape)} on {leaf.device}"


class OnDevice(ShapesOnly):
    """The device "meta", on which nothing has a value to be read; what lies elsewhere is an error."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = super().__torch_dispatch__(func, types, args, kwargs)
        check_all_are_there(args, kwargs, made)
        return made


def looks(layer: Layer, source: torch.Tensor, target: torch.Tensor) -> None:
    """Compute nothing; an `Engine`."""
    check_all_are_there(vars(layer), source, target)


def ones(conv: Conv) -> Integers:
    """Return integers that fit a convolution."""
    unit = Units(np.ones(channels_of(conv), np.float32), 1)
    return Integers(unit, np.ones(conv.weight.shape, np.int8), np.ones(len(conv.weight), np.float32), conv.bias)


@pytest.mark.parametrize("preset", TINY)
def test_a_frame_needs_nothing_from_the_host(preset: str) -> None:
    model = network(preset)
    graph = trace(model)
    lowered = lower(graph, 99)
    integers = {conv: ones(conv) for conv in every_convolution(lowered)[::2]}
    for engine, quantised in ((None, {}), (looks, {}), (looks, integers)):
        program = DeviceProgram(graph, lowered, device=META, engine=engine, quantised=quantised)
        with torch.no_grad(), OnDevice():
            frame = program(torch.zeros(1, dtype=torch.int64, device=META))
        assert frame.shape == (1, 3, SPEC.height, SPEC.width)


@pytest.mark.parametrize("preset", TINY)
def test_float32_is_the_network(preset: str) -> None:
    model = network(preset)
    graph = trace(model)
    program = DeviceProgram(graph, lower(graph, 99), device=CPU)
    with torch.inference_mode():
        for index in (torch.tensor([4]), torch.tensor([1])):
            assert (program(index) - model(index)).abs().max() < 1e-5


@pytest.mark.parametrize("preset", ["hnerv-tiny", "nerv-lrconv-tiny", "hinerv-tiny", "pnerv-tiny"])
def test_the_kernel_and_its_twin_agree_on_a_whole_network(preset: str, device: torch.device) -> None:
    model = network(preset, width=80, height=48)
    graph = trace(model)
    lowered = lower(graph, 99)
    bench = DeviceBench(graph, lowered, device, run_torch)
    bench.measure(0)
    found = {conv: bench.found(conv) for conv in bench.convolutions()}
    assert all(takes(conv) for conv in found)
    assert len(found) > 2
    programs = [
        DeviceProgram(graph, lowered, device=device, engine=engine, quantised=integers_from(found))
        for engine in (triton_engine(), run_torch)
    ]
    with torch.inference_mode():
        index = torch.tensor([3], device=device)
        kernel, twin = (program(index).clone() for program in programs)
        exact = model(torch.tensor([3])).to(device)
    # A value on the border of two steps may fall to either side, and what follows from it differs.
    assert (kernel - twin).abs().max() < 0.3 * max(float((twin - exact).abs().max()), 1e-4)
    assert (twin - exact).abs().max() < 0.03


def test_a_mixture_of_types_in_one_chain() -> None:
    model = network("hnerv-tiny")
    graph = trace(model)
    lowered = lower(graph, 99)
    bench = DeviceBench(graph, lowered, CPU, run_torch)
    bench.measure(0)
    found = {conv: bench.found(conv) for conv in bench.convolutions()}
    exact = bench.frame(2, {})
    convolutions = bench.convolutions()
    for kept in (convolutions[::2], convolutions[1::2], convolutions[2:4]):
        made = bench.frame(2, {conv: found[conv] for conv in kept})
        assert 0 < (made - exact).abs().max() < 0.01
    assert exact.shape == (1, 3, SPEC.height, SPEC.width)


def test_a_frame_leaves_nothing_behind() -> None:
    model = network("hnerv-tiny")
    graph = trace(model)
    lowered = lower(graph, 99)
    bench = DeviceBench(graph, lowered, CPU, run_torch)
    bench.measure(0)
    found = {conv: bench.found(conv) for conv in bench.convolutions()}
    program = DeviceProgram(graph, lowered, device=CPU, engine=run_torch, quantised=integers_from(found))
    with torch.inference_mode():
        first = [program(torch.tensor([i])).clone() for i in (0, 5, 2)]
        again = [program(torch.tensor([i])).clone() for i in (2, 5, 0)]
    for one, other in zip(first, reversed(again), strict=True):
        np.testing.assert_array_equal(one, other)
