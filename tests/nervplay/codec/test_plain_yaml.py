"""The YAML of official configurations: what is read, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nervplay.codec.plain_yaml import read_yaml
from nervplay.errors import UsageError

OFFICIAL = """
seed : 10
#----a comment on a line of its own----#
dataset_path: ./../../data/DAVIS16/1920_960/blackswan   # and one behind a value

dataset_type: all \n
model:
  model_name: P_NeRV
  diff_dec_padding: [1,1,1]
  kfc_h_w_c : [20, 40, 105]
  kernels:
  - 1
  - 3
  indented:
    - 5
    - -7
  height: 960
loss: L2
optim:
  lr: 0.0005
  eps: 1e-8
  nesterov: false
  decay:
name: "two: words"
other: 'say #1'   # a comment
hash: a#b
"""


def test_what_the_official_files_hold() -> None:
    assert read_yaml(OFFICIAL) == {
        "seed": 10,
        "dataset_path": "./../../data/DAVIS16/1920_960/blackswan",
        "dataset_type": "all",
        "model": {
            "model_name": "P_NeRV",
            "diff_dec_padding": [1, 1, 1],
            "kfc_h_w_c": [20, 40, 105],
            "kernels": [1, 3],
            "indented": [5, -7],
            "height": 960,
        },
        "loss": "L2",
        "optim": {"lr": 0.0005, "eps": 1e-8, "nesterov": False, "decay": None},
        "name": "two: words",
        "other": "say #1",
        "hash": "a#b",
    }


def test_whole_numbers_stay_whole() -> None:
    values = read_yaml("a: 1\nb: 1.0\nc: -2\nd: .5\ne: []\nf: True\ng: ~\nh: 1_0")
    assert values == {"a": 1, "b": 1.0, "c": -2, "d": 0.5, "e": [], "f": True, "g": None, "h": "1_0"}
    assert [type(values[key]) for key in "abf"] == [int, float, bool]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "configuration is empty"),
        ("# nothing\n---\n", "configuration is empty"),
        ("a: 1\nnonsense", "line 2 of the official configuration, 'nonsense', is neither"),
        ("a: 1\nb: {c: 2}", "line 2 .* has a value that cannot be read"),
        ("a: &anchor 1", "has a value that cannot be read"),
        ("a: !!python/object x", "has a value that cannot be read"),
        ("a: [1, [2]]", "has a value that cannot be read"),
        ("a: 'open", "has a value that cannot be read"),
        ("a: b: c", "has a value that cannot be read"),
        ("a: [1,,2]", "has a value that cannot be read"),
        ("a: 1\na: 2", "says 'a' a second time"),
        ("a: 1\n  b: 2", "line 2 .* is indented unlike"),
        ("  a: 1\nb: 2", "line 2 .* is indented unlike"),
        ("- 1\n- 2", "is neither"),
        ("a:\n- b: 1", "has a value that cannot be read"),
        ("\n".join(" " * i + "a:" for i in range(2000)), "nested more than 8 deep"),
    ],
)
def test_what_is_not_known_is_refused_by_its_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_yaml(text)


WORDS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(
    lambda word: word.lower() not in ("true", "false", "null")
)
SCALARS = st.integers(-(10**9), 10**9) | st.booleans() | WORDS | st.floats(-1e6, 1e6)
TREES = st.dictionaries(WORDS, SCALARS | st.lists(SCALARS, min_size=1, max_size=4), min_size=1, max_size=5)


@given(st.dictionaries(WORDS, TREES, min_size=1, max_size=3), st.booleans())
def test_what_is_written_is_read(tree: dict[str, dict[str, object]], flow: bool) -> None:
    lines = []
    for name, branch in tree.items():
        lines.append(f"{name}:")
        for key, value in branch.items():
            if isinstance(value, list) and flow:
                lines.append(f"  {key}: [{', '.join(map(str, value))}]")
            elif isinstance(value, list):
                lines += [f"  {key}:", *(f"  - {item}" for item in value)]
            else:
                lines.append(f"  {key}: {value}")
    assert read_yaml("\n".join(lines)) == tree


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_yaml(text)
    except UsageError as error:
        assert "official" in str(error)  # noqa: PT017 - both outcomes are right
