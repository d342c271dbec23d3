"""Inspector, source bar, transport bar, status line, tool bar, empty state: they show what the player knows."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest

from app.core.rd import plot_range
from app.core.sources import parse_source
from app.core.view import Mode
from app.views.empty_state import DropZone
from app.views.tool_bar import ModeBar


def value(window, name: str) -> str:
    return window.inspector._values[name].text()


def test_figures(pair_window, qtbot) -> None:
    player = pair_window.player
    pair_window.inspector.refresh()
    assert value(pair_window, "PSNR").startswith("inf dB")
    assert value(pair_window, "MS-SSIM") == "these pictures are too small for it"
    player.track.set(0, {"psnr": 31.5, "ms-ssim": 0.97})
    player.events.emit("metrics")
    assert value(pair_window, "PSNR").startswith("31.50 dB (mean 31.50)")
    assert value(pair_window, "MS-SSIM") == "0.9700 (mean of 1 0.9700)"
    assert value(pair_window, "Worst") == "31.50 dB at frame 0"
    assert value(pair_window, "Network") == "fake, 96x54, 40 frames"
    assert value(pair_window, "Rate") == "0.3858 bpp = 50 kbit/s"
    assert "x real time" in value(pair_window, "Now")
    assert value(pair_window, "Memory").startswith("40 of 40")
    player.set_region((1, 2, 10, 12))
    assert "in 10x12 at 1, 2" in value(pair_window, "Region")


def test_sizes_that_differ(pair_window) -> None:
    a = pair_window.player.slots[0]
    a.facts = replace(a.facts, spec=replace(a.facts.spec, width=48))
    pair_window.player.events.emit("metrics")
    assert value(pair_window, "PSNR") == "A and B have different sizes"


def test_a_point_is_loaded_as_b(pair_window, qtbot) -> None:
    player, plot = pair_window.player, pair_window.inspector.plot
    b = player.slots[1]
    player.rd.note(parse_source("30.nerv"), replace(b.facts, file_bytes=5000), 28.0, 40)
    player.rd.note(b.ref, b.facts, 33.0, 40)
    points = [point for curve in player.rd.curves().values() for point in curve]
    place = plot.place_of(points[0], plot_range(points))
    assert plot.point_at(place) == points[0]
    assert plot.point_at(QPointF(-50, -50)) is None
    QTest.mouseMove(plot, place.toPoint())
    QTest.mouseClick(plot, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place.toPoint())
    qtbot.waitUntil(lambda: str(b.ref) == "30.nerv" and not b.opening)
    plot.grab()


def test_stages(pair_window, views) -> None:
    b = pair_window.player.slots[1]
    pair_window.player.staged(b, (("stem", 1.0), ("head", 4.0)))
    bars = pair_window.inspector._stages
    assert bars.isVisible()
    assert bars.accessibleDescription() == "stem 1.00 ms, head 4.00 ms"
    assert bars.sizeHint().height() == 2 * 17


def test_source_bar(pair_window, qtbot) -> None:
    sources = pair_window.sources
    assert [box.currentText() for box in sources.sources] == ["40.mp4", "40.nerv"]
    pair_window.player.nudge(-2)
    assert sources.sources[1].currentText() == "40.nerv   -2 frames"
    whole = str(Path("40.nerv").absolute())
    place = next(place for place in range(sources.sources[0].count()) if sources.sources[0].itemData(place) == whole)
    sources.sources[0].activated.emit(place)
    qtbot.waitUntil(lambda: str(pair_window.player.slots[0].ref) == whole)
    sources.sources[0].activated.emit(0)
    sources.precision.activated.emit(1)
    qtbot.waitUntil(lambda: pair_window.player.slots[1].facts.precision == "bf16")
    sources.device.activated.emit(0)


def test_the_source_bar_shows_how_far_int8_is(pair_window) -> None:
    player, bar = pair_window.player, pair_window.sources.preparing
    assert not bar.isVisible()
    player.prepared(player.slots[1], "int8", 0.45)
    assert bar.isVisible()
    assert bar.text() == "INT8 45 %"
    player.prepared(player.slots[1], "", 0.0)
    assert not bar.isVisible()


def test_transport_bar(pair_window, qtbot) -> None:
    bar, player = pair_window.transport, pair_window.player
    player.seek(4)
    assert bar._place.text() == "frame 4 / 39   0:00.160"
    bar._between.setValue(4)
    qtbot.waitUntil(lambda: player.keys(4, player.between)[1] == Fraction(9, 2) and "+ 1/2" in bar._place.text())
    player.seek(39, Fraction(1, 2))
    assert player.between == 0, "nothing lies behind the last frame"
    bar._speed.activated.emit(6)
    assert player.transport.speed == 2
    bar._pace.activated.emit(1)
    assert player.transport.every_frame
    bar._pace.activated.emit(1)
    assert player.transport.every_frame
    player.transport.set_range(3, 9)
    player.events.emit("transport")
    assert bar._loop.text() == "loop 3-9"
    bar._buttons["play"].click()
    assert player.transport.playing


def test_status_line(pair_window) -> None:
    player = pair_window.player
    player.probe = (3, 50)
    player.events.emit("probe")
    red, green, blue = (int(part) for part in player.pictures[0][50, 3, :3])
    text = pair_window.status.pixel.text()
    assert text == f"Pixel 3, 50    A {red} {green} {blue}    B {red} {green} {blue}    B - A +0 +0 +0"
    player.probe = None
    player.events.emit("probe")
    assert pair_window.status.pixel.text().startswith("Pixel 48, 27")
    assert "QPainter" in pair_window.status._kind.text()


def test_gain(pair_window) -> None:
    bar = pair_window.findChild(ModeBar)
    view = pair_window.player.view
    view.mode = Mode.WIPE
    pair_window.player.events.emit("view")
    assert not bar.gain.isEnabled()
    pair_window.run("mode-heat")
    assert bar.gain.isEnabled()
    bar.gain.activated.emit(0)
    assert view.gain == 1


def test_banner(pair_window) -> None:
    pair_window.player.say("look here")
    assert pair_window.banner.isVisible()
    pair_window.player.say("")
    assert not pair_window.banner.isVisible()


@pytest.fixture
def recent_window(make_main_window):
    return make_main_window(recent=["12.mp4", "x" * 120, "this & that.mp4"])


def test_empty_state(recent_window, qtbot, answers) -> None:
    from PySide6.QtWidgets import QPushButton

    from app.views.empty_state import DropZone

    zones = recent_window.empty.findChildren(DropZone)
    assert [zone.accessibleName() for zone in zones] == ["A: reference", "B: neural video"]
    answers.path = "14.nerv"
    QTest.mouseClick(zones[1], Qt.MouseButton.LeftButton)
    assert answers.asked == ["Open B"]
    qtbot.waitUntil(lambda: recent_window.player.slots[1].is_open)
    recent_window.run("close-all")
    recent = {item.text(): item for item in recent_window.empty.findChildren(QPushButton)}
    assert "this && that.mp4" in recent, "one & alone underlines the next letter"
    button = recent["12.mp4"]
    button.click()
    qtbot.waitUntil(lambda: recent_window.player.slots[1].is_open)


def test_the_plot_by_keys(pair_window, qtbot) -> None:
    player = pair_window.player
    b = player.slots[1]
    player.rd.note(b.ref, b.facts, 30.0, 40)
    player.rd.note(b.ref, replace(b.facts, precision="bf16"), 29.0, 40)
    player.rd.note(parse_source("20.nerv"), replace(b.facts, file_bytes=20_000), 31.0, 20)
    pair_window.run("previous-point")
    qtbot.waitUntil(lambda: b.facts.precision == "bf16")
    for _ in range(2):
        pair_window.run("next-point")
        qtbot.waitUntil(lambda: b.facts.precision == "fp32" and not b.opening)
    qtbot.waitUntil(lambda: str(b.ref) == "20.nerv" and b.facts.spec.frame_count == 20)
    player.rd.clear()
    pair_window.run("previous-point")
    assert "no point yet" in player.message


def test_drop_zones_by_keys(window, answers) -> None:
    zones = window.empty.findChildren(DropZone)
    for zone, key in zip(zones, (Qt.Key.Key_Return, Qt.Key.Key_Space), strict=True):
        zone.setFocus()
        QTest.keyClick(zone, key)
        QTest.keyClick(zone, Qt.Key.Key_F24)
        zone.grab()
    assert answers.asked == ["Open A", "Open B"]


def test_between_frames_says_why_not(window, qtbot) -> None:
    bar, player = window.transport, window.player
    window.handlers.open_text("40.mp4", 0)
    qtbot.waitUntil(lambda: player.slots[0].is_open)
    assert not bar._between.isVisible()
    window.handlers.open_text("40.nerv", 1)
    qtbot.waitUntil(lambda: player.slots[1].is_open)
    assert bar._between.isVisible()
    assert bar._between.isEnabled()
    b = player.slots[1]
    b.facts = replace(b.facts, continuous_time=False, architecture="hnerv")
    player.events.emit("clip")
    assert bar._between.isVisible()
    assert not bar._between.isEnabled()
    assert bar._between.toolTip() == (
        "hnerv has nothing between frames: it stores one embedding per frame, and reads no time"
    )
    window.run("between-on")
    assert player.message == bar._between.toolTip()
    assert player.between == 0


def test_a_checkpoint_asks_for_its_command_line(window, answers, qtbot) -> None:
    answers.line = "--arch hnerv"
    window.handlers.open_text("40.pth", 1)
    assert answers.asked == ["Official checkpoint"]
    assert str(window.player.slots[1].ref) == f"{Path('40.pth').absolute()} --official --arch hnerv"
    answers.line = ""
    window.handlers.open_text("bad.pth", 1)
    qtbot.waitUntil(lambda: "cannot be opened" in window.player.message)
