"""Frames made in rectangles: the same frames, and rectangles that keep to the budget."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch

from nervplay.codec import NeuralVideo, pack
from nervplay.decode import Decoder, open_decoder
from nervplay.decode.footprint import peak_bytes
from nervplay.decode.graph import trace
from nervplay.decode.native_decoder import native_bytes
from nervplay.decode.tiles import Tiles, choose_tiles
from nervplay.errors import CapabilityError, UsageError
from nervplay.models import VideoModel, build_model, resolve_preset
from nervplay.video.spec import VideoSpec

SPEC = VideoSpec(width=192, height=96, frame_count=6, rate=Fraction(24))
PLENTY = 1 << 40


def network(preset: str) -> VideoModel:
    """Return a tiny network with grids large enough for frames to differ."""
    entry, found = resolve_preset(preset)
    torch.manual_seed(5)
    model = build_model(entry.name, found.configure(SPEC.width, SPEC.height, SPEC.frame_count))
    state = model.stored_state()
    model.load_stored_state(state | {k: torch.randn_like(v) for k, v in state.items() if "levels" in k})
    return model.eval()


def opened(model: VideoModel, **options: object) -> Decoder:
    video = NeuralVideo(file=pack(model, SPEC), model=model, file_bytes=0)
    return open_decoder(video, device="cpu", **options)  # type: ignore[arg-type]


def differing(one: np.ndarray, other: np.ndarray) -> int:
    """Return how many samples differ: by one, where the exact value lies half-way between two."""
    assert np.abs(one.astype(int) - other).max() <= 1
    return int((one != other).sum())


@pytest.fixture(scope="module", params=["hinerv-tiny", pytest.param("srnerv-tiny", marks=pytest.mark.slow)])
def model(request: pytest.FixtureRequest) -> VideoModel:
    return network(request.param)


@pytest.mark.parametrize("backend", ["torch", "torch-fast", "native"])
def test_a_small_budget_changes_no_frame(model: VideoModel, backend: str) -> None:
    measure, budget = (native_bytes, 150_000) if backend == "native" else (peak_bytes, 400_000)
    tiles = choose_tiles(model, budget, PLENTY, measure)
    assert tiles.count > 4
    with (
        opened(model, backend=backend) as whole,
        opened(model, backend=backend, memory_budget=budget) as tiled,
    ):
        for index in (5, 0, 3):
            exact = whole.float_frame(index)
            assert np.abs(tiled.float_frame(index) - exact).max() < 3e-6
            assert differing(tiled.frame(index), whole.frame(index)) <= 2
            assert tiled.float_frame(index).tobytes() == tiled.float_frame(index).tobytes()
        small = np.int8(5)  # times the rectangles of a frame it would leave its range
        np.testing.assert_array_equal(tiled.float_frame(small), tiled.float_frame(5))  # type: ignore[arg-type]
        between = Fraction(5, 2)
        assert differing(tiled.frame_at(between), whole.frame_at(between)) <= 2


def test_integers_in_rectangles(model: VideoModel) -> None:
    with opened(model) as exact, opened(model, precision="int8", memory_budget=150_000) as tiled:
        error = np.square(tiled.float_frame(2) - exact.float_frame(2)).mean()
        assert -10 * np.log10(error + 1e-15) > 57


def test_the_rectangles_cover_the_frame() -> None:
    for tiles in (Tiles((96, 192), 36, 60), Tiles((96, 192), 48, 48), Tiles.whole(96, 192)):
        seen = np.zeros(tiles.frame, int)
        for number in range(tiles.count):
            top, left = tiles.corner(number)
            assert min(top, left) >= 0
            seen[top : top + tiles.height, left : left + tiles.width] += 1
        assert seen.min() == 1
        assert seen.shape == tiles.frame
    drawn = torch.arange(6).float()[:, None, None, None].expand(6, 3, 60, 80)
    joined = Tiles((96, 192), 60, 80).join(drawn[:, None])
    assert [int(joined[0, 0, y, x]) for y, x in ((0, 0), (0, 80), (0, 191), (95, 0), (95, 191))] == [0, 1, 2, 3, 5]


def test_a_smaller_budget_gives_smaller_rectangles(model: VideoModel) -> None:
    whole = choose_tiles(model, PLENTY, PLENTY)
    assert (whole.count, whole.height, whole.width) == (1, 96, 192)
    chosen = [choose_tiles(model, budget, PLENTY) for budget in (1_000_000, 400_000, 1)]
    assert all(one.count < other.count for one, other in pairwise([whole, *chosen]))
    for budget, tiles in zip((1_000_000, 400_000), chosen, strict=False):
        assert peak_bytes(trace(lambda i, t=tiles: t.draw(model, i, torch.zeros(1, dtype=torch.int64)))) <= budget
    unit = model.raster  # type: ignore[attr-defined]
    assert (chosen[-1].height, chosen[-1].width) == (unit, unit), "no smaller ones exist"


def test_whole_frames_beyond_the_memory_are_refused() -> None:
    nerv = network("nerv-tiny")
    assert choose_tiles(nerv, 1, PLENTY).count == 1
    with pytest.raises(CapabilityError, match=r"192x96 takes about .* GB of maps in this nerv.* HiNeRV or SRNeRV"):
        choose_tiles(nerv, PLENTY, 100_000)
    with pytest.raises(UsageError, match="budget of 0 bytes"):
        opened(nerv, memory_budget=0)
