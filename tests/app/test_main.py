"""What the program starts with."""

import pytest

from app.core.sources import parse_source
from app.main import place_precision


@pytest.mark.parametrize(
    ("sources", "slot"),
    [(["a.nerv"], 0), (["a.mp4", "b.nerv"], 1), (["a.nerv", "b.nerv"], 1), (["a.nerv", "b.mp4"], 0), ([], 0)],
)
def test_a_precision_goes_to_a_network(sources: list[str], slot: int) -> None:
    placed = place_precision([parse_source(text) for text in sources], "int8")
    assert [number for number, name in enumerate(placed) if name] == [slot]
