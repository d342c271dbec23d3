"""Texts become sources and back; addresses are checked, nothing is opened."""

import pytest

from app.core.sources import Kind, SourceRef, parse_source
from nervplay.errors import UsageError


@pytest.mark.parametrize(
    ("text", "kind", "title"),
    [
        ("/a/clip.mp4", Kind.VIDEO, "clip.mp4"),
        ("frames", Kind.VIDEO, "frames"),
        ("a/b.NERV", Kind.NERV, "b.NERV"),
        ("model.safetensors", Kind.NERV, "model.safetensors"),
        ("x/model_best.pth --official --arch hnerv -e 3", Kind.OFFICIAL, "model_best.pth"),
        ("quant_vid.pth", Kind.OFFICIAL, "quant_vid.pth"),
        ("hf://user/name@v1", Kind.HUB, "hf://user/name@v1"),
        ("x265@b", Kind.ANCHOR, "x265 at the bytes of B"),
        ("mpeg2@b", Kind.VIDEO, "mpeg2@b"),
    ],
)
def test_kinds_and_round_trip(text: str, kind: Kind, title: str) -> None:
    ref = parse_source(f"  {text} ")
    assert (ref.kind, ref.title) == (kind, title)
    assert parse_source(str(ref)) == ref
    assert SourceRef.from_json(ref.to_json()) == ref


def test_links_of_the_hub_become_addresses() -> None:
    assert str(parse_source("https://huggingface.co/user/name/tree/v1")) == "hf://user/name@v1"


@pytest.mark.parametrize("text", ["", "  ", "hf://user", "hf://datasets/user/name"])
def test_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_source(text)


@pytest.mark.parametrize("data", [{}, {"kind": "x", "text": "y"}, {"kind": "video"}, []])
def test_unsound_json(data) -> None:
    with pytest.raises(UsageError, match="not sound"):
        SourceRef.from_json(data)


def test_a_commit_is_short_in_titles() -> None:
    ref = parse_source("hf://user/name@" + "0123456789" * 4)
    assert ref.title == "hf://user/name@0123456"
    assert parse_source(str(ref)) == ref


@pytest.mark.parametrize("quotes", ["", '"', "'"])
def test_a_command_line_may_be_quoted(quotes: str) -> None:
    ref = parse_source(f"a.pth --official {quotes}--arch hnerv -b 2{quotes}")
    assert (ref.kind, ref.text, ref.arguments) == (Kind.OFFICIAL, "a.pth", "--arch hnerv -b 2")
    assert parse_source("a.pth --official 'a' 'b'").arguments == "'a' 'b'"
