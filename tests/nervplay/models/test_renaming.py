import pytest

from nervplay.errors import CheckpointError
from nervplay.models.renaming import rename


def test_the_first_rule_that_fits_the_whole_name_wins() -> None:
    rules = ((r"a\.(\d)", r"b.\1"), (r"a\.(.*)", lambda m: f"c.{m[1].upper()}"))
    assert rename({"a.1": 1, "a.12": 2, "a.x": 3}, rules) == {"b.1": 1, "c.12": 2, "c.X": 3}


def test_batch_counters_are_dropped() -> None:
    assert rename({"layers.0.norm.num_batches_tracked": 1}, ()) == {}


def test_strangers_and_doubles_are_named() -> None:
    with pytest.raises(CheckpointError, match="tensor 'zz'"):
        rename({"zz": 1}, ((r"a", "b"),))
    with pytest.raises(CheckpointError, match=r"'a2' .* under the name 'b'"):
        rename({"a1": 1, "a2": 2}, ((r"a\d", "b"),))
