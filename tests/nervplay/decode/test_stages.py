"""Where the time of a frame goes: stages of each backend, and nothing of it left in the decoder."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from nervplay.decode import NativeDecoder, TorchDecoder
from nervplay.decode.cache import CachedDecoder
from nervplay.decode.stages import ROUNDS, StageTime, best_of, total
from nervplay.decode.testing import FakeDecoder
from nervplay.errors import FrameIndexError, UsageError
from nervplay.models import VideoModel, build_model, get_architecture
from nervplay.video.spec import VideoSpec

SPEC = VideoSpec(width=160, height=96, frame_count=6, rate=Fraction(24))


@pytest.fixture(scope="module")
def model() -> VideoModel:
    torch.manual_seed(0)
    config = get_architecture("hnerv").presets["tiny"].configure(SPEC.width, SPEC.height, SPEC.frame_count)
    made = build_model("hnerv", config)
    state = made.stored_state()
    made.load_stored_state(state | {name: torch.randn_like(state[name]) for name in made.embedding_names})
    return made.eval()


def test_the_fastest_round_of_each_stage_counts() -> None:
    rounds = [[StageTime("a", 3), StageTime("b", 1)], [StageTime("a", 2), StageTime("b", 5)]]
    assert best_of(rounds) == (("a", 2), ("b", 1))
    assert total(rounds) == [("a", 5), ("b", 6)]


def test_the_reference_times_the_parts_of_the_network(model: VideoModel) -> None:
    with TorchDecoder(model, SPEC, device=torch.device("cpu")) as decoder:
        before = decoder.frame(2)
        names = [stage.name for stage in decoder.stage_times(2)]
        assert names[0] == "stem"
        assert names[-1] == "head"
        assert "encoder" not in "".join(names)
        assert np.array_equal(decoder.frame(2), before)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_kernels_time_their_convolutions(model: VideoModel, precision: str) -> None:
    with NativeDecoder(model, SPEC, threads=1, precision=precision) as decoder:
        before = decoder.frame(1)
        stages = decoder.stage_times(1)
        assert stages[-1].name == f"160x96 3x3 {model.head.weight.shape[1]}>3"
        assert any(stage.name.endswith("int16") for stage in stages) == (precision == "int8")
        assert all(stage.milliseconds > 0 for stage in stages)
        assert np.array_equal(decoder.frame(1), before)
        with pytest.raises(FrameIndexError):
            decoder.stage_times(6)
    with pytest.raises(UsageError, match="closed"):
        decoder.stage_times()


def test_others_know_the_frame_or_ask_on(model: VideoModel) -> None:
    fake = FakeDecoder(SPEC)
    assert [stage.name for stage in fake.stage_times()] == ["frame"]
    with CachedDecoder(TorchDecoder(model, SPEC, device=torch.device("cpu")), 1 << 20) as decoder:
        assert len(decoder.stage_times()) > 2
    assert ROUNDS > 1
