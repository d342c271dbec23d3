"""Which parts of a network become streams, and that what is left computes the same."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nervplay.decode import NativeDecoder
from nervplay.decode.footprint import peak_bytes
from nervplay.decode.graph import Graph, trace
from nervplay.decode.lowering import Conv, lower
from nervplay.decode.streams import Enlarge, Mix, Stream, Streamed, join, streamed_bytes
from nervplay.models import VideoModel, build_model
from nervplay.models.hinerv_config import HiNeRVConfig
from nervplay.models.srnerv import SRNeRVConfig
from nervplay.video.spec import VideoSpec

WIDTH, HEIGHT, FRAMES = 96, 48, 5
SPEC = VideoSpec(width=WIDTH, height=HEIGHT, frame_count=FRAMES, rate=Fraction(25))
LAYOUT = {"strides": (3, 2), "depths": (2, 1), "grid_channels": 2, "local_channels": 4, "grid_frames": 3}
SIZE = {"width": WIDTH, "height": HEIGHT, "frame_count": FRAMES}
NETWORKS = {
    "hinerv": ("hinerv", HiNeRVConfig, {"channels": 37, "expansions": (4.0, 1.0)}),
    "no norm": ("hinerv", HiNeRVConfig, {"channels": 20, "expansions": (2.0, 1.0), "upsample_norm": False}),
    "srnerv": ("srnerv", SRNeRVConfig, {"channels": 18, "expansions": (4.0, 4.0)}),
    "shared": ("srnerv", SRNeRVConfig, {"channels": 16, "expansions": (2.0, 2.0), "share": "step"}),
}


def network(name: str) -> VideoModel:
    architecture, config, options = NETWORKS[name]
    torch.manual_seed(1)
    model = build_model(architecture, config(**SIZE, **LAYOUT, **options))
    state = model.stored_state()
    model.load_stored_state(state | {k: torch.randn_like(v) for k, v in state.items() if "levels" in k})
    return model.eval()


def joined(model: nn.Module, longest: int = 32) -> tuple[Graph, Streamed]:
    graph = trace(model)
    return graph, join(graph, lower(graph, 32), longest)


def streams(streamed: Streamed) -> list[list[str]]:
    return [[type(part).__name__ for part in step.parts] for step in streamed.steps if isinstance(step, Stream)]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("threads", [1, 3])
def test_a_network_is_one_stream(name: str, threads: int) -> None:
    model = network(name)
    _, streamed = joined(model)
    assert streams(streamed) == [["Enlarge", "Mix", "Mix", "Enlarge", "Mix", "Conv"]]
    with NativeDecoder(model, SPEC, threads=threads) as decoder, torch.no_grad():
        for index in (0, 4, 1):  # the tiles of the encodings differ
            exact = model(torch.tensor([index]))[0].numpy()
            assert np.abs(decoder.float_frame(index) - exact).max() < 2e-6
        assert np.abs(decoder.float_frame(0) - decoder.float_frame(4)).max() > 1e-3


def test_a_long_stream_is_cut() -> None:
    graph, streamed = joined(network("hinerv"), 2)
    assert streams(streamed) == [["Enlarge", "Mix"], ["Mix", "Enlarge"], ["Mix", "Conv"]]
    parts = [step for step in streamed.steps if isinstance(step, Stream)]
    assert [a.target == b.source for a, b in pairwise(parts)] == [True, True]
    assert parts[-1].target == graph.output


def test_residuals_and_norms_are_seen() -> None:
    _, streamed = joined(network("hinerv"))
    (stream,) = (step for step in streamed.steps if isinstance(step, Stream))
    mixes = [part for part in stream.parts if isinstance(part, Mix)]
    assert [mix.residual for mix in mixes] == [True, True, False], "the last one makes fewer channels"
    enlarged = [part for part in stream.parts if isinstance(part, Enlarge)]
    assert [(part.factor, part.epsilon) for part in enlarged] == [(3, 1e-6), (2, 1e-6)]
    assert len(stream.inputs()) == 3
    _, bare = joined(network("no norm"))
    (other,) = (step for step in bare.steps if isinstance(step, Stream))
    assert [part.epsilon for part in other.parts if isinstance(part, Enlarge)] == [None, None]


class Step(nn.Module):
    """A step as HiNeRV has it, with one thing that may differ."""

    def __init__(self, twist: str) -> None:
        super().__init__()
        self.twist = twist
        self.table = nn.Parameter(torch.randn(3, 8 * 6 * 4))
        self.apart = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=twist == "bias")
        self.norm = nn.LayerNorm(4, elementwise_affine=twist == "affine")
        self.expand, self.project = nn.Linear(4, 9, bias=False), nn.Linear(9, 4, bias=False)
        self.head = nn.Linear(4, 5 if twist == "wide head" else 3)

    def forward(self, index: Tensor) -> Tensor:
        x = self.table[index].view(1, 8, 6, 4) * 2
        y = self.apart(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        y = self.expand(self.norm(y))
        y = self.project(F.gelu(y, approximate="tanh" if self.twist == "tanh" else "none"))
        z = y * 2 + x if self.twist == "scaled" else x + y
        if self.twist == "read twice":
            z = z + y
        return torch.sigmoid(self.head(z)).permute(0, 3, 1, 2)[:, :3]


@pytest.mark.parametrize(
    ("twist", "found"),
    [
        ("none", [["Mix", "Conv"]]),
        ("bias", []),
        ("affine", []),
        ("tanh", []),
        ("wide head", [["Mix"]]),
        ("scaled", [["Mix"]]),
        ("read twice", [["Mix"]]),
    ],
)
def test_what_differs_is_left_to_others(twist: str, found: list[list[str]]) -> None:
    torch.manual_seed(0)
    model = Step(twist).eval()
    graph, streamed = joined(model)
    assert streams(streamed) == found
    mixes = [
        part for step in streamed.steps if isinstance(step, Stream) for part in step.parts if isinstance(part, Mix)
    ]
    assert [mix.residual for mix in mixes] == [twist in ("none", "wide head")] * len(found)
    assert graph.output not in streamed.inside


def test_a_network_without_steps_is_as_it_was() -> None:
    graph = trace(nn.Sequential(nn.Embedding(4, 6), nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 3, 3, padding=1)))
    lowered = lower(graph, 32)
    streamed = join(graph, lowered, 32)
    assert list(streamed.steps) == list(lowered.steps)
    assert not streamed.inside


def test_a_stream_takes_less_memory() -> None:
    graph, streamed = joined(network("hinerv"))
    assert streamed_bytes(graph, streamed) < 0.8 * peak_bytes(graph)
    assert peak_bytes(graph, streamed.inside) < 0.2 * peak_bytes(graph)
    convs = [conv for step in streamed.steps if isinstance(step, list) for conv in step]
    assert all(isinstance(conv, Conv) for conv in convs)
