"""Letters in the corners of panes: where several pictures are apart, and only there."""

from dataclasses import replace

from PySide6.QtCore import Qt

from app.core.view import Mode


def shown(window) -> list[str]:
    return [label.text() for label in window._labels.labels if label.isVisible()]


def test_letters(pair_window, qtbot) -> None:
    player = pair_window.player
    assert shown(pair_window) == ["A", "B"]
    pair_window.run("mode-side")
    assert shown(pair_window) == ["A   40.mp4", "B   40.nerv"]
    left, right = pair_window._labels.labels[:2]
    assert right.x() - left.x() == round(pair_window.canvas.width() / 2)
    pair_window.run("mode-heat")
    assert shown(pair_window) == []
    pair_window.handlers.open_text("40.mp4", 2)
    qtbot.waitUntil(lambda: player.slots[2].is_open)
    pair_window.run("mode-grid")
    assert shown(pair_window) == ["A   40.mp4", "B   40.nerv", "C   40.mp4"]
    pair_window.handlers.open_text(f"40,{'0' * 300}.mp4", 2)
    qtbot.waitUntil(lambda: len(player.slots[2].facts.title) > 300)
    assert shown(pair_window)[2].startswith("C   40,0"), "a long name is cut, not left out"
    assert all(label.textFormat() is Qt.TextFormat.PlainText for label in pair_window._labels.labels)
    player.view.mode = Mode.WIPE
    player.view.set_split(0.0)
    player.events.emit("view")
    assert shown(pair_window) == ["B"]


def test_no_difference_of_two_sizes(pair_window) -> None:
    pair_window.run("mode-difference")
    reason = pair_window._labels.reason
    assert not reason.isVisible()
    slot = pair_window.player.slots[0]
    slot.facts = replace(slot.facts, spec=replace(slot.facts.spec, width=100, height=60), whole_size=(200, 120))
    pair_window.player.events.emit("clip")
    assert reason.isVisible()
    assert reason.text().startswith("A has 100x60 pixels, B 96x54: differences need one size.")
    assert abs(reason.geometry().center().x() - pair_window.canvas.rect().center().x()) <= 1
    assert pair_window.sources.sources[0].currentText() == "40.mp4   as 100x60"
    pair_window.run("mode-side")
    assert not reason.isVisible()
