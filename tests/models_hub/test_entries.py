"""Entries of strangers: any card gives a figure or none."""

from hypothesis import given, settings
from hypothesis import strategies as st

from models_hub import Entry

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)
@given(JSON, JSON)
def test_any_card_has_a_figure_or_none(index: object, licence: object) -> None:
    entry = Entry(repository="a/b", revision=None, card={"model-index": index, "license": licence})
    value = entry.metric("psnr")
    assert value is None or isinstance(value, float)
    assert isinstance(entry.license, str)
