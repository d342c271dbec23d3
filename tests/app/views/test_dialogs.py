"""Palette, key editor, key page, settings, export dialog, drag and drop, themes."""

from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLineEdit, QMessageBox

from app.views.asking import Asker
from app.views.command_palette import ranked
from app.views.drop import DropArea, texts_of
from app.views.key_help import help_page
from app.views.theme import apply_theme, colours
from app.views.words import time_words, unmeasured_words


def dialog_of(window, name: str):
    window.run({"help": "help"}.get(name, name))
    return window.dialogs.shown[name]


def test_ranking() -> None:
    titles = ["Playback: Next frame", "View: Fit", "Playback: Previous frame", "File: Save frame"]
    assert ranked("frame", titles) == [0, 2, 3]
    assert ranked("ame pre", titles) == [2]
    assert ranked("", titles) == [0, 1, 2, 3]


def test_palette(pair_window, qtbot) -> None:
    dialog = dialog_of(pair_window, "palette")
    QTest.keyClicks(dialog.field, "heat")
    assert dialog.list.count() == 1
    QTest.keyClick(dialog.field, Qt.Key.Key_Return)
    assert pair_window.player.view.mode == "heat"
    qtbot.waitUntil(lambda: "palette" not in pair_window.dialogs.shown)
    dialog = dialog_of(pair_window, "palette")
    QTest.keyClick(dialog.field, Qt.Key.Key_Down)
    assert dialog.list.currentRow() == 1
    QTest.keyClicks(dialog.field, "no such thing")
    QTest.keyClick(dialog.field, Qt.Key.Key_Return)


def test_key_editor(pair_window) -> None:
    dialog = dialog_of(pair_window, "keys")
    dialog.select("play")
    dialog.edit.setKeySequence(QKeySequence("W"))
    assert dialog.note.text() == "W belongs to 'Wipe'"
    assert not dialog.buttons["add"].isEnabled()
    dialog.buttons["take"].click()
    assert pair_window.player.settings.keys == {"play": "Space, W", "mode-wipe": ""}
    assert [key.toString() for key in pair_window.actions_.by_name["play"].shortcuts()] == ["Space", "W"]
    assert pair_window.actions_.by_name["mode-wipe"].shortcuts() == []
    dialog.select("mode-wipe")
    dialog.buttons["reset"].click()
    assert "belongs to" in dialog.note.text()
    dialog.select("play")
    dialog.buttons["clear"].click()
    dialog.buttons["reset"].click()
    dialog.select("mode-wipe")
    dialog.buttons["reset"].click()
    assert pair_window.player.settings.keys == {}
    dialog.edit.setKeySequence(QKeySequence("F6"))
    dialog.buttons["add"].click()
    assert pair_window.player.settings.keys == {"mode-wipe": "W, F6"}


def test_all_keys_on_one_page(pair_window) -> None:
    page = help_page(pair_window.actions_.keymap)
    assert "<b>Space</b>" in page
    assert "zoom at the cursor" in page
    dialog_of(pair_window, "help").close()


def test_settings_dialog(pair_window) -> None:
    dialog = dialog_of(pair_window, "settings")
    dialog.memory.setValue(64)
    dialog.theme.setCurrentText("light")
    dialog.accept()
    assert (pair_window.player.settings.cache_mb, pair_window.player.settings.theme) == (64, "light")
    assert pair_window.player.slots[0].cache.budget == 32_000_000
    assert colours().window == "#f4f5f7"


def test_a_device_of_this_run_alone_is_shown_and_kept_when_another_is_chosen(window) -> None:
    window.player.device = "cuda:1"
    dialog = dialog_of(window, "settings")
    assert dialog.device.currentText() == "cuda:1"
    dialog.accept()
    assert (window.player.device, window.player.settings.device) == ("cuda:1", "auto")
    dialog = dialog_of(window, "settings")
    dialog.device.setCurrentText("cpu")
    dialog.accept()
    assert (window.player.device, window.player.settings.device) == ("cpu", "cpu")


def test_themes(qapp) -> None:
    apply_theme("dark")
    dark = colours()
    apply_theme("light")
    assert colours() != dark
    apply_theme("system")
    apply_theme("dark")
    assert colours() == dark


def test_export_of_what_cannot_be(pair_window) -> None:
    dialog = dialog_of(pair_window, "export")
    assert [dialog.what.itemData(place) for place in range(4)] == ["", "side-by-side", "stacked", "difference"]
    dialog.start_button.click()
    assert "only a neural video in a file can be exported" in dialog.note.text()
    QTest.keyClick(dialog, Qt.Key.Key_Escape)


def test_export_offers_each_encoder_its_own_scale(pair_window) -> None:
    dialog = dialog_of(pair_window, "export")
    offered = []
    for place in range(dialog.encoder.count()):
        dialog.encoder.setCurrentIndex(place)
        offered.append((dialog.encoder.currentData(), dialog.quality.value(), dialog.quality.maximum()))
    assert offered == [("libx264", 18, 51), ("libx265", 20, 51), ("libsvtav1", 24, 63)]


def test_the_file_that_is_asked_about_is_the_one_that_is_written(qtbot, window, tmp_path: Path) -> None:
    (tmp_path / "view.png").touch()
    questions = []

    def answer() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, QFileDialog)
        dialog.setDirectory(str(tmp_path))
        dialog.findChild(QLineEdit, "fileNameEdit").setText("view")
        QTimer.singleShot(0, dialog, refuse)
        dialog.accept()
        dialog.reject()

    def refuse() -> None:
        question = QApplication.activeModalWidget()
        assert isinstance(question, QMessageBox)
        questions.append(question.text())
        question.button(QMessageBox.StandardButton.No).click()

    QTimer.singleShot(0, window, answer)
    assert Asker().save_file(window, "Save the view", "view-00007.png", "PNG (*.png)") == ""
    assert "view.png" in questions[0]


def test_what_was_dragged(tmp_path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "a b.mp4")), QUrl("hf://user/name")])
    assert texts_of(data) == [str(tmp_path / "a b.mp4"), "hf://user/name"]
    words = QMimeData()
    words.setText("hf://user/name\n/my clips/x.nerv\n")
    assert texts_of(words) == ["hf://user/name", "/my clips/x.nerv"]
    assert texts_of(QMimeData()) == []


@pytest.mark.parametrize(("x", "slot"), [(10, 0), (390, 1)])
def test_drop_on_a_half(qtbot, x: int, slot: int) -> None:
    heard = []
    area = DropArea(lambda texts, side: heard.append((texts, side)))
    qtbot.addWidget(area)
    area.resize(400, 300)
    area.show()
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile("/a.nerv")])
    copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    area.dragEnterEvent(QDragEnterEvent(QPoint(x, 50), copy, data, left, none))
    area.dragMoveEvent(QDragMoveEvent(QPoint(x, 50), copy, data, left, none))
    assert area._overlay.isVisible()
    assert area._overlay.slot == slot
    area.grab()
    area.dropEvent(QDropEvent(QPointF(x, 50), copy, data, left, none))
    assert heard == [(["/a.nerv"], slot)]
    area.dragLeaveEvent(QDragLeaveEvent())
    assert not area._overlay.isVisible()


def test_several_files_fill_the_slots(window, qtbot) -> None:
    window._dropped(["10.mp4", "10.nerv", "12.nerv"], 1)
    qtbot.waitUntil(lambda: sum(slot.is_open for slot in window.player.slots) == 3)


def test_why_nothing_is_measured(window, qtbot) -> None:
    player = window.player
    assert unmeasured_words(player) == ""
    window.handlers.open_text("40.mp4", 0)
    qtbot.waitUntil(lambda: player.has_clip)
    assert "once A and B are open" in unmeasured_words(player)
    window.handlers.open_text("40.nerv", 1)
    qtbot.waitUntil(lambda: player.has_pair)
    assert "while playing rests" in unmeasured_words(player)
    window.run("metrics")
    assert unmeasured_words(player) == "measuring is off (menu Compare)"
    window.timeline.grab()


def test_times() -> None:
    from fractions import Fraction

    assert time_words(Fraction(1501), Fraction(25)) == "1:00.040"
