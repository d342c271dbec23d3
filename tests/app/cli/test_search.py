"""`nervplay search`: the table of what the cards claim, and a Hub that refuses."""

import json

import pytest
from loopback_hub import LoopbackHub
from loopback_hub.checks import spoken

CARD = """---
library_name: nervplay
license: cc0-1.0
tags: [nerv-video, nervplay-format-1, {tags}]
model-index:
- name: x
  results:
  - task: {{type: video-reconstruction}}
    dataset: {{type: bunny, name: Bunny}}
    metrics: [{{type: psnr, value: 31.456}}, {{type: bpp, value: 0.0321}}]
---
"""

pytestmark = pytest.mark.usefixtures("hub_home")


@pytest.fixture
def cards(server: LoopbackHub) -> None:
    """Two videos and something else."""
    server.add("alice/bunny", "README.md", CARD.format(tags="hnerv, 720p").encode(), large=False)
    server.add("bob/tree", "README.md", CARD.format(tags='nerv, "\\e[2Jevil"').encode(), large=False)
    server.add("bob/llama", "README.md", b"---\ntags: [text]\n---\n", large=False)
    server.forget()


@pytest.mark.usefixtures("cards")
def test_the_table(nervplay, server) -> None:
    ran = nervplay("search")
    assert ran.code == 0
    heading, second, first = ran.out.splitlines()
    assert heading.split()[:2] == ["address", "tags"]
    words = ["hf://alice/bunny", "hnerv", "720p", "31.46", "-", "0.0321", "0", "cc0-1.0", "public"]
    assert first.split() == words
    assert second.startswith("hf://bob/tree")
    assert "\x1b" not in ran.out
    assert len(server.log) == 1


@pytest.mark.usefixtures("cards")
def test_narrower(nervplay) -> None:
    found = json.loads(nervplay("search", "--tag", "hnerv", "--json").out)
    assert [fact["address"] for fact in found] == ["hf://alice/bunny"]
    assert (found[0]["psnr"], found[0]["ms_ssim"], found[0]["license"]) == (31.456, None, "cc0-1.0")
    assert len(json.loads(nervplay("search", "--limit", "1", "--json").out)) == 1
    assert json.loads(nervplay("search", "zebra", "--json").out) == []
    assert nervplay("search", "--limit", "0").code == 2


@pytest.mark.usefixtures("cards")
def test_access(nervplay, server) -> None:
    server.repositories["alice/bunny"].gated = True
    assert "on request" in nervplay("search", "bunny").out


def test_a_hub_that_asks_for_a_pause(nervplay, server) -> None:
    server.fail("GET /api/models$", status=429, headers={"Retry-After": "30"})
    ran = nervplay("search")
    assert ran.code == 5
    (line,) = spoken(ran.err, server)
    assert line.startswith("nervplay: error: the Hub asks for a pause: too many requests; try again in 30 seconds")
