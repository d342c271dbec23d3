"""The rules that turn a number of parameters into embeddings, and the shared checks of configurations."""

import pytest

from nervplay.errors import UsageError
from nervplay.models import get_architecture, resolve_preset
from nervplay.models.sizes import embedding_channels, modelsize_channels, sized_presets, split_embeddings


@pytest.mark.parametrize(
    ("parameters", "positions", "taken", "channels"),
    [(1000, 100, 0, 2), (1000, 67, 0, 2), (1000, 66, 0, 3), (1000, 10, 0, 16), (1000, 300, 0, 1), (1000, 20, 100, 5)],
)
def test_embeddings_take_a_fifth_at_most(parameters: int, positions: int, taken: int, channels: int) -> None:
    assert embedding_channels(parameters, positions, taken=taken) == channels


def test_differences_are_as_fine_as_they_may_be() -> None:
    strides = (3, 2, 2)
    fine, finest = (2 * 10 * scale**2 for scale in (3, 6))
    edge = int(finest / 0.15) + 1
    assert split_embeddings(edge, 10, strides) == (2, embedding_channels(edge, 10, taken=finest))
    assert split_embeddings(edge - 2, 10, strides) == (1, 16)
    edge = int(fine / 0.15) + 1
    assert split_embeddings(edge, 10, strides) == (1, int((0.2 * edge - fine) / 10))
    assert split_embeddings(edge - 2, 10, strides) == (0, 16)
    assert split_embeddings(500, 10, strides) == (0, 8), "the coarsest take 20 of 100"
    assert split_embeddings(1, 10, strides) == (0, 1)


def test_modelsize_is_the_official_rule() -> None:
    assert modelsize_channels(1.5, 1280, 640, 132, (5, 4, 4, 2, 2)) == 68
    with pytest.raises(UsageError, match=r"embeddings of 20000 frames leave nothing of 1.5 M parameters; cut the clip"):
        modelsize_channels(1.5, 1280, 640, 20_000, (5, 4, 4, 2, 2))


def test_sized_presets_ask_for_their_sizes() -> None:
    asked = []

    def configure(width: int, height: int, frame_count: int, parameters: int):
        asked.append((width, height, frame_count, parameters))
        return resolve_preset("hnerv-tiny")[1].configure(width, height, frame_count)

    made = sized_presets("X", configure, {"epochs": 3}, what="at all")
    for preset in made.values():
        preset.configure(320, 180, 9)
    assert asked == [(320, 180, 9, 300_000), (320, 180, 9, 1_500_000)]
    assert made["small"].summary == "X of about 0.3 M parameters for any frame size at all"
    assert made["medium"].recipe == {"epochs": 3}


@pytest.mark.parametrize("architecture", ["hnerv", "hnerv-boost", "snerv", "snerv-t", "dnerv", "pnerv"])
def test_sizes_come_out(architecture: str) -> None:
    entry = get_architecture(architecture)
    assert entry.configure_size is not None
    config = entry.configure_size(320, 180, 132, 300_000)
    assert entry.model(config).stored_state()
    with pytest.raises(UsageError, match="the nearest has"):
        entry.configure_size(320, 180, 5000, 3000)
