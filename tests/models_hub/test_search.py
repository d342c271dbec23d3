"""Searching: one request, our tag and all others asked for, and nothing in a card that can hurt."""

import pytest

from nervplay.errors import UsageError

CARD = """---
library_name: nervplay
license: {license}
tags: [nerv-video, {tag}]
model-index:
- name: x
  results:
  - task: {{type: video-reconstruction}}
    dataset: {{type: bunny, name: Bunny}}
    metrics: [{{type: psnr, value: {psnr}}}]
---
"""


def add(server, name: str, tag: str = "hnerv", licence: str = "cc0-1.0", psnr: str = "31.5") -> None:
    text = CARD.format(tag=tag, license=licence, psnr=psnr)
    server.add(name, "README.md", text.encode(), large=False)


def test_one_request_with_our_tag(server, hubs) -> None:
    add(server, "alice/bunny")
    add(server, "alice/old", tag="nerv")
    server.add("bob/llama", "README.md", b"---\ntags: [text]\n---\n", large=False)
    server.forget()
    found = hubs().search()
    assert [entry.repository for entry in found] == ["alice/old", "alice/bunny"], "last changed first"
    (request,) = server.log
    assert "filter=nerv-video" in request.query
    assert found[1].metric("psnr") == 31.5
    assert found[1].modified.startswith("20")
    assert str(found[1].address) == f"hf://alice/bunny@{server.repositories['alice/bunny'].head.sha}"


def test_text_tags_author_and_limit(server, hubs) -> None:
    for number in range(7):
        add(server, f"alice/clip{number}", tag="hnerv" if number % 2 else "nerv")
    add(server, "bob/clip", tag="hnerv")
    assert len(hubs().search(tags=["hnerv"])) == 4
    assert [entry.repository for entry in hubs().search("CLIP3")] == ["alice/clip3"]
    assert [entry.repository for entry in hubs().search(author="bob")] == ["bob/clip"]
    assert hubs().search(tags=["hnerv", "nerv"]) == []
    server.forget()
    assert len(hubs().search(limit=3)) == 3
    assert len(server.log) == 1


def test_more_than_a_page_of_the_hub(server, hubs) -> None:
    server.page_size = 3
    for number in range(8):
        add(server, f"alice/clip{number}")
    server.forget()
    assert len(hubs().search(limit=7)) == 7
    assert len(server.log) == 3


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_other_limits(server, hubs, limit: int) -> None:
    with pytest.raises(UsageError, match=f"not {limit}"):
        hubs().search(limit=limit)
    assert server.log == []


def test_private_ones_are_found_by_their_owner_only(server, hubs) -> None:
    add(server, "alice/secret")
    server.repositories["alice/secret"].private = True
    assert hubs().search() == []
    (entry,) = hubs("hf_alice_secret").search()
    assert entry.private


def test_hostile_names_are_passed_over(server, hubs) -> None:
    add(server, "alice/bunny")
    for name in ("alice/..", "../etc", "alice/a/b", "alice/\x1b[2J"):
        add(server, name)
    assert [entry.repository for entry in hubs().search()] == ["alice/bunny"]


@pytest.mark.parametrize("psnr", ["'31'", "[1]", "true", ".nan", ".inf", "{a: b}", "null"])
def test_a_figure_that_is_none(server, hubs, psnr: str) -> None:
    add(server, "alice/bunny", psnr=psnr)
    (entry,) = hubs().search()
    assert entry.metric("psnr") is None
