"""The table of measures."""

from app.cli.measures import MEASURES
from ffmpeg_bridge.filter_meter import FILTERS
from nervplay.metrics import METRICS


def test_all_that_can_be_measured_is_there() -> None:
    assert tuple(MEASURES) == (*METRICS, "vmaf", *FILTERS)
