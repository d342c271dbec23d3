"""The browser in words."""

import pytest

from app.core.hub_browser import Query, Row, Transfer
from app.core.hub_words import parse_query, row_facts, row_line, transfer_words
from models_hub import Entry

CARD = {
    "license": "cc-by-4.0",
    "model-index": [{"results": [{"metrics": [{"type": "psnr", "value": 32.251}, {"type": "bpp", "value": 0.0421}]}]}],
}


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", Query()),
        ("big bunny", Query("big bunny")),
        ("#hnerv bunny #720p by:alice", Query("bunny", ("hnerv", "720p"), "alice")),
        ("#", Query()),
    ],
)
def test_what_a_search_box_means(text: str, query: Query) -> None:
    assert parse_query(text) == query


def test_a_row_in_a_line() -> None:
    tags = ("nerv-video", "nervplay-format-1", "nervplay", "license:cc", "hnerv", "36p", "safetensors")
    entry = Entry(repository="a/b", revision="f" * 40, tags=tags, card=CARD, private=True)
    assert row_line(Row("a/b", entry)).split("   ") == [
        "hnerv",
        "36p",
        "32.25 dB",
        "0.0421 bpp",
        "cc-by-4.0",
        "private",
    ]
    assert row_line(Row("a/b", Entry(repository="a/b", revision=None))) == ""


def test_facts_before_and_without_the_file() -> None:
    entry = Entry(repository="a/b", revision="f" * 40, card=CARD, likes=3, downloads=7, modified="2026-01-02T03:04:05")
    facts = dict(row_facts(Row("a/b", entry)))
    assert facts["Network"] == "asking the file …"
    assert facts["Quality"] == "32.25 dB PSNR (its author's figures)"
    assert facts["Licence"] == "cc-by-4.0"
    assert facts["Version"] == "fffffff   2026-01-02"
    assert facts["Liked"] == "3 likes, 7 downloads"
    assert list(dict(row_facts(Row("hf://a/b@ffff", entry)))) == ["Network", "Picture", "Size", "Version"]
    bad = Entry(repository="a/b", revision=None, card={"license": "x\ny\u202e" + "z" * 200})
    facts = dict(row_facts(Row("a/b", bad, problem="no such file")))
    assert (facts["Network"], facts["Quality"]) == ("no such file", "not told")
    assert facts["Licence"] == "x y " + "z" * 76


@pytest.mark.parametrize(
    ("transfer", "words"),
    [
        (None, ""),
        (Transfer(), "waiting for its turn, or for the Hub"),
        (Transfer(1500, 3_000_000), "pulling 1.5 kB of 3 MB"),
        (Transfer(error="no"), "no"),
        (Transfer(cancelled=True), "stopped; nothing was kept"),
    ],
)
def test_transfers(transfer: Transfer | None, words: str) -> None:
    assert transfer_words(transfer) == words
