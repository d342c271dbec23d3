"""Rates follow from bytes; sizes are written as people read them."""

from fractions import Fraction

import pytest

from app.core.facts import MediaFacts, human_rate, human_size
from nervplay.video import VideoSpec

SPEC = VideoSpec(width=100, height=50, frame_count=20, rate=Fraction(10))


def test_rates() -> None:
    facts = MediaFacts(title="x", kind="nerv", spec=SPEC, file_bytes=25_000)
    assert facts.bits_per_pixel == pytest.approx(2.0)
    assert facts.kbit_per_second == pytest.approx(100)
    folder = MediaFacts(title="x", kind="video", spec=SPEC)
    assert (folder.bits_per_pixel, folder.kbit_per_second) == (None, None)


def test_words() -> None:
    assert [human_size(size) for size in (999, 371_234, 2_000_000, 5 * 10**9)] == [
        "999 bytes",
        "371 kB",
        "2 MB",
        "5 GB",
    ]
    assert [human_rate(rate) for rate in (562.4, 1660)] == ["562 kbit/s", "1.66 Mbit/s"]
