"""The card: its metadata is what searches need, its page works as it stands, and nobody's text breaks it."""

import dataclasses
import json
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback_hub.videos import make_nerv

from models_hub import Publication, is_address, parse_address
from models_hub.card import make_card, make_config
from models_hub.layout import repository_tags
from nervplay.bitstream import VERSION, peek_nerv

HEADER = peek_nerv(make_nerv(weights=2000))


def metadata(card: str) -> dict:
    match = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    assert match
    return yaml.safe_load(match[1])


def test_metadata(publication) -> None:
    facts = metadata(make_card(publication, "alice/bunny", HEADER, {}))
    assert facts["library_name"] == "nervplay"
    assert facts["tags"] == ["nerv-video", "nervplay-format-1", "hnerv", "36p"] == repository_tags(HEADER)
    assert facts["license"] == "cc-by-3.0"
    assert facts["thumbnail"] == "https://huggingface.co/alice/bunny/resolve/main/preview/poster.webp"
    assert facts["widget"] == [{"text": "preview", "output": {"url": "preview/preview.mp4"}}]
    assert "pipeline_tag" not in facts
    (model,) = facts["model-index"]
    (result,) = model["results"]
    assert result["task"] == {"type": "video-reconstruction"}
    figures = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert figures == {"psnr": 32.25, "ms_ssim": 0.9612, "bpp": pytest.approx(8 * HEADER.file_bytes / (64 * 36 * 6))}


def test_the_page_tells_a_stranger_everything(publication) -> None:
    page = make_card(publication, "alice/bunny", HEADER, {"low": HEADER})
    for words in (
        "6 frames of 64x36, 25 frames/s", "nervplay play hf://alice/bunny", 'pip install "nervplay[app,hub]"',
        "## How it was made", "recipe preset: `tiny`", "source name: `bunny.mp4`", "## Licence", "`cc-by-3.0`",
        "(c) Blender Foundation", "32.25", HEADER.weights_sha256, "variants/low.safetensors", "<Gallery />",
    ):  # fmt: skip
        assert words in page
    for address in re.findall(r"hf://\S+", page):
        assert is_address(address)
        parse_address(address.strip('`"()'))
    python = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert python
    compile(python[1], "card", "exec")


def test_what_is_not_known_is_not_claimed() -> None:
    bare = Publication(video=None, title="x")
    card = make_card(bare, "alice/bunny", HEADER, {})
    facts = metadata(card)
    assert {"license", "thumbnail", "widget"}.isdisjoint(facts)
    assert [metric["type"] for metric in facts["model-index"][0]["results"][0]["metrics"]] == ["bpp"]
    assert "PSNR" not in card
    assert "Gallery" not in card
    assert "licence of the clip is not stated" in card


def test_poster_without_preview() -> None:
    card = make_card(Publication(video=None, title="x", poster=b"w"), "a/b", HEADER, {})
    assert "![poster](preview/poster.webp)" in card


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=30))
def test_text_of_strangers_stays_text(title: str, name: str, recipe: str) -> None:
    header = dataclasses.replace(HEADER, source={"name": name}, recipe={"note": recipe})
    card = make_card(Publication(video=None, title=title, credit=title), "alice/bunny", header, {})
    facts = metadata(card)
    assert facts["tags"] == repository_tags(HEADER)
    body = card.split("\n---\n", 1)[1]
    assert [line for line in body.splitlines() if line.startswith("## ")] == [
        "## Watch it", "## Figures", "## How it was made", "## Licence",
    ]  # fmt: skip
    assert body.count("```") == 4


def test_markup_in_a_title() -> None:
    page = make_card(Publication(video=None, title="<script>x</script> | [a](b)"), "a/b", HEADER, {})
    assert "<script>" not in page.split("\n---\n", 1)[1]


def test_config_is_what_the_file_says() -> None:
    facts = json.loads(make_config(HEADER))
    assert facts["video"] == HEADER.video.to_json()
    assert facts["weights_sha256"] == HEADER.weights_sha256
    assert (facts["architecture"], facts["format"]) == ("hnerv", "nervplay")
    assert facts["format_version"] == ".".join(map(str, VERSION))
