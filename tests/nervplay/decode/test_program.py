"""Buffers of the kernels' results: shared where one is read to the end before the next is written."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nervplay.decode import NativeDecoder
from nervplay.decode.graph import trace
from nervplay.decode.lowering import TorchStep, lower
from nervplay.decode.native.library import MAX_CHAIN, Pool, kernels
from nervplay.decode.program import Program, _Chain, _Streaming
from nervplay.decode.tiles import Tiles
from nervplay.decode.torch_decoder import torch_threads
from nervplay.decode.weave import weave
from nervplay.models import build_model, resolve_preset
from nervplay.video.spec import VideoSpec


def test_results_share_memory() -> None:
    entry, preset = resolve_preset("hinerv-tiny")
    torch.manual_seed(0)
    model = build_model(entry.name, preset.configure(192, 96, 6)).eval()
    spec = VideoSpec(width=192, height=96, frame_count=6, rate=Fraction(24))
    with NativeDecoder(model, spec, tiles=Tiles((96, 192), 48, 96)) as decoder:  # whole frames are one stream
        chains = [step for step in decoder._programs["fp32"]._steps if isinstance(step, _Chain | _Streaming)]
        buffers = {chain._out.untyped_storage().data_ptr(): chain._out.untyped_storage().nbytes() for chain in chains}
        alone = sum(chain._out.nbytes for chain in chains)
        assert len(buffers) < len(chains)
        assert sum(buffers.values()) < 0.7 * alone
        for before, after in pairwise(chains):
            if before._target == after._source:
                assert before._out.untyped_storage().data_ptr() != after._out.untyped_storage().data_ptr()
        with torch.no_grad():
            exact = model(torch.tensor([4]))[0].numpy()
        assert abs(decoder.float_frame(4) - exact).max() < 1e-5


@pytest.mark.parametrize(
    "operation",
    [F.gelu, torch.sigmoid, F.silu, F.softplus, lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear")],
)
def test_threads_change_no_byte_of_what_runs_in_pytorch(operation: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    table = torch.randn(2, 203, 207, 3)
    graph = trace(lambda index: operation(table[index].permute(0, 3, 1, 2)))
    woven = weave(graph, lower(graph, MAX_CHAIN), MAX_CHAIN)
    assert all(isinstance(step, TorchStep) for step in woven.steps)
    made = []
    for threads in (1, 2, 3, 4):
        pool = Pool(threads)
        program = Program(graph, woven, isa=kernels(), pool=pool, threads=threads)
        with torch_threads(threads):
            made.append(program.run(1).contiguous().numpy().tobytes())
        pool.close()
    assert len(set(made)) == 1
