"""Filter graphs taken apart as FFmpeg does it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ffmpeg_bridge.graph_text import FilterText, parse_graph
from nervplay.errors import UsageError


def one(name, arguments=None, inputs=(), outputs=(), instance=None):
    return FilterText(name=name, instance=instance, arguments=arguments, inputs=inputs, outputs=outputs)


@pytest.mark.parametrize(
    ("text", "chains"),
    [
        ("hflip", [[one("hflip")]]),
        (" hflip , scale = 32:24 ", [[one("hflip"), one("scale", "32:24")]]),
        (
            "split [a] [b]; [a]hflip[c];[b][c] hstack;",
            [
                [one("split", None, (), ("a", "b"))],
                [one("hflip", None, ("a",), ("c",))],
                [one("hstack", None, ("b", "c"))],
            ],
        ),
        ("drawbox@left=x=10:y=2", [[one("drawbox", "x=10:y=2", instance="left")]]),
        ("curves=all='0/0 1/1',vflip", [[one("curves", "all=0/0 1/1"), one("vflip")]]),
        (r"select=eq(n\,3)+gt(n\,5)", [[one("select", "eq(n,3)+gt(n,5)")]]),
        (r"movie=it\'s\;x.mkv", [[one("movie", "it's;x.mkv")]]),
        ("movie='a;b[c],d '", [[one("movie", "a;b[c],d ")]]),
    ],
)
def test_parts(text, chains):
    assert parse_graph(text) == chains


@given(st.text(st.characters(exclude_characters="'\x00", exclude_categories=("Cs",)), min_size=1))
def test_quotes_keep_everything(text):
    assert parse_graph(f"movie='{text}'")[0][0].arguments == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "name is missing, at character 1"),
        ("hflip,", "name is missing, at character 7"),
        (";hflip", "name is missing"),
        ("[a", "lacks its"),
        ("[]hflip", "label is empty"),
        ("hflip='x", "quote is not closed"),
        ("hflip[a]vflip", "must stand between"),
        ("hflip]", "must stand between"),
    ],
)
def test_refused(text, words):
    with pytest.raises(UsageError, match=words):
        parse_graph(text)


@given(st.text("ab[];,='\\@ ", max_size=20))
def test_any_text_is_read_or_refused(text):
    try:
        chains = parse_graph(text)
    except UsageError:
        return
    assert all(part.name for chain in chains for part in chain)
