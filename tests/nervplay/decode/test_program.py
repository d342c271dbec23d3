"""Buffers of the kernels' results: shared where one is read to the end before the next is written."""

from fractions import Fraction
from itertools import pairwise

import torch

from nervplay.decode import NativeDecoder
from nervplay.decode.program import _Chain, _Streaming
from nervplay.decode.tiles import Tiles
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
