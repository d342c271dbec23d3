"""The page: complete, escaped, self-contained; and the figures in it."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from app.rd.bitmap import PALETTE
from app.rd.page import panels, render_page


class Checker(HTMLParser):
    """Collects text; fails on tags that are not closed."""

    VOID = frozenset({"meta", "line", "polyline", "circle", "polygon"})

    def __init__(self):
        super().__init__()
        self.open, self.words, self.rows = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_startendtag(self, tag, attrs):
        assert tag in self.VOID

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)


def read(page):
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    return checker


def test_it_needs_nothing_else(study):
    page = render_page(study, ["made by hand"])
    assert not re.search(r"https?:|src=|@import|url\(|<script|<link", page)
    assert "prefers-color-scheme: dark" in page
    words = " ".join(read(page).words)
    for part in ("clip <1>.mp4", "b <&>.nerv", "no libvmaf & co", "made by hand", "100x80, 10 frames"):
        assert part in words
    assert page.count("<svg viewBox") == 2
    assert page.count('class="key"') == 3


def test_figures(study):
    page = read(render_page(study))
    words = " ".join(page.words)
    assert "a.nerv: 1,000 bytes, 0.1000 bits per pixel, 30.00 dB." in words
    assert "Bytes that the encoders need for the same PSNR: x264 slow 50% of it." in words
    assert ["x265 slow", "CRF 1000", "1,010", "+1.0%", "36.00", "0.9923"] in page.rows
    assert ["hnerv", "a.nerv", "1,000", "0.1000", "20.0", "30.00", "0.9889"] in page.rows
    assert any(row[:2] == ["hnerv", "+100.0 %, -3.00"] for row in page.rows)


def test_without_anchors(study):
    page = render_page(replace(study, curves=study.curves[:1]))
    read(page)
    assert "Bjøntegaard" not in page
    assert "At equal bytes" not in page


def test_the_style_knows_every_series(study):
    page = render_page(study)
    for number, colour in enumerate(PALETTE):
        assert f"--s{number}: {colour};" in page
        assert f".mark.s{number}" in page


@pytest.mark.parametrize("count", [1, 12])
def test_colours_go_round(study, count):
    curves = tuple(replace(study.curves[1], name=f"c{number}") for number in range(count))
    assert max(series.number for panel in panels(replace(study, curves=curves)) for series in panel.series) <= 7
