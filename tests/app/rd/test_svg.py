"""Plots as SVG: sound XML, words escaped."""

from xml.etree import ElementTree as ET

from app.rd.plot import Panel, Series
from app.rd.svg import mark_svg, panel_svg


def test_panel():
    points = ((0.1, 30.0, "a <b> & c"), (0.2, 31.0, ""), (0.4, 33.0, ""))
    all_series = tuple(Series(number=number, large=number == 0, points=points) for number in range(4))
    root = ET.fromstring(panel_svg(Panel(title='x < "y"', series=all_series)))
    assert root.get("aria-label") == 'x < "y"'
    assert [node.get("class") for node in root.iter("polyline")] == [f"curve s{number}" for number in range(4)]
    marks = [node for node in root.iter("g") if node.get("class").startswith("mark")]
    assert len(marks) == 12
    assert marks[0].find("title").text == "a <b> & c"
    assert [len(list(root.iter(tag))) for tag in ("circle", "polygon")] == [3, 9]


def test_large_marks_are_larger():
    radius = [float(ET.fromstring(mark_svg(0, large=large)).find(".//circle").get("r")) for large in (False, True)]
    assert radius[1] > 1.3 * radius[0]
