"""The window as people use it: open, play, seek, flip precision, worst frame, export, session, errors, closing."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QFocusEvent, QGuiApplication, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox

from app.core.commands import COMMANDS
from app.core.settings import load_settings
from app.core.view import Mode
from app.views.canvas.soft import BACKGROUND
from nervplay.decode.testing import read_index


def press(window, key, keys=Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(window.canvas, key, keys)


def shown(window) -> list[int]:
    return [read_index(picture[..., :3]) for picture in window.player.pictures if picture is not None]


def test_empty(window) -> None:
    assert window._stack.currentWidget() is window.empty
    assert not window.timeline.isVisible()
    assert not window.actions_.by_name["play"].isEnabled()
    assert window.actions_.by_name["open-sample"].isEnabled()


def test_one_source_is_shown_whole(qtbot, window) -> None:
    window.handlers.open_text("40.nerv", 1)
    qtbot.waitUntil(lambda: window.player.settled, timeout=10_000)
    assert window.player.view.mode is Mode.WIPE
    image = window.canvas.grab().toImage()
    for part in (0.25, 0.75):
        colour = image.pixelColor(round(part * image.width()), image.height() // 2)
        assert colour.getRgb()[:3] != BACKGROUND
    assert window._stack.minimumSizeHint() == window.canvas.minimumSize(), "the hidden page keeps no room"


def test_keys_play_and_step(qtbot, pair_window) -> None:
    player = pair_window.player
    assert pair_window.windowTitle() == "40.mp4 / 40.nerv / nervplay"
    press(pair_window, Qt.Key.Key_Period)
    press(pair_window, Qt.Key.Key_Right)
    assert shown(pair_window) == [2, 2]
    press(pair_window, Qt.Key.Key_Comma)
    press(pair_window, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert shown(pair_window) == [11, 11]
    press(pair_window, Qt.Key.Key_End)
    press(pair_window, Qt.Key.Key_O)
    press(pair_window, Qt.Key.Key_Home)
    press(pair_window, Qt.Key.Key_I)
    assert player.transport.range == (0, 39)
    press(pair_window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: player.transport.shown >= 3)
    press(pair_window, Qt.Key.Key_Space)
    assert not player.transport.playing
    press(pair_window, Qt.Key.Key_J)
    assert (player.transport.playing, player.transport.direction) == (True, -1)
    press(pair_window, Qt.Key.Key_K)
    assert not player.transport.playing
    press(pair_window, Qt.Key.Key_BracketRight)
    assert player.transport.speed > 1
    press(pair_window, Qt.Key.Key_Backspace)
    assert player.transport.speed == 1


def test_modes_by_key(pair_window) -> None:
    view = pair_window.player.view
    for key, mode in (("1", Mode.A), ("2", Mode.B), ("W", Mode.WIPE), ("S", Mode.SIDE), ("D", Mode.DIFFERENCE),
                      ("H", Mode.HEAT), ("G", Mode.GRID)):  # fmt: skip
        press(pair_window, key)
        assert view.mode is mode
        assert pair_window.actions_.by_name[f"mode-{mode}"].isChecked()
    press(pair_window, Qt.Key.Key_D, Qt.KeyboardModifier.ShiftModifier)
    assert view.mode is Mode.SIGNED
    press(pair_window, "+")
    assert view.gain == 16


def test_flip_lasts_as_long_as_the_key(pair_window) -> None:
    view, canvas = pair_window.player.view, pair_window.canvas
    canvas.setFocus()
    QTest.keyPress(canvas, Qt.Key.Key_Tab)
    assert view.mode is Mode.B
    QTest.keyRelease(canvas, Qt.Key.Key_Tab)
    assert view.mode is Mode.WIPE
    view.mode = Mode.B
    QTest.keyPress(canvas, Qt.Key.Key_Tab)
    assert view.mode is Mode.A
    canvas.focusOutEvent(QFocusEvent(QEvent.Type.FocusOut))
    assert view.mode is Mode.B


def test_every_command_runs(qtbot, hub_home, pair_window, answers) -> None:
    for command in COMMANDS:
        if command.name not in ("quit", "close-all", "full-screen", "open-sample"):
            pair_window.run(command.name)
            qtbot.wait(1)
    pair_window.dialogs.shut_down()
    assert "Open A" in answers.asked
    pair_window.run("close-all")
    assert not pair_window.player.has_clip


def test_accessible_names_and_tips(pair_window) -> None:
    for command in COMMANDS:
        action = pair_window.actions_.by_name[command.name]
        assert command.title in action.toolTip()
    assert all(box.accessibleName() for box in pair_window.findChildren(QComboBox))
    assert pair_window.canvas.accessibleName()


def test_precision_by_key(qtbot, pair_window) -> None:
    b = pair_window.player.slots[1]
    press(pair_window, Qt.Key.Key_Q)
    qtbot.waitUntil(lambda: b.facts.precision == "bf16")
    press(pair_window, Qt.Key.Key_Q)
    qtbot.waitUntil(lambda: b.facts.precision == "fp32")
    press(pair_window, Qt.Key.Key_Q, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: b.facts.precision == "bf16")
    box = pair_window.sources.precision
    assert [box.itemText(place) for place in range(3)] == ["FP32", "BF16", "INT8"]
    assert not box.model().item(2).isEnabled()
    assert box.model().item(2).toolTip() == "not here"
    press(pair_window, Qt.Key.Key_U)
    assert "no CUDA device" in pair_window.player.message


def test_worst_frame(pair_window) -> None:
    for frame in range(40):
        pair_window.player.track.set(frame, {"psnr": 30.0 if frame in (7, 21) else 40.0})
    press(pair_window, Qt.Key.Key_Home, Qt.KeyboardModifier.ControlModifier)
    assert shown(pair_window) == [7, 7]
    press(pair_window, Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier)
    assert shown(pair_window) == [21, 21]


def test_files_are_written(qtbot, pair_window, answers, tmp_path: Path) -> None:
    answers.path = str(tmp_path / "view")
    pair_window.run("snapshot")
    assert QImage(str(tmp_path / "view.png")).width() == pair_window.canvas.width()
    answers.path = str(tmp_path / "frame.png")
    pair_window.player.seek(3)
    pair_window.run("save-frame")
    saved = QImage(str(tmp_path / "frame.png")).convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(saved.constBits(), np.uint8).reshape(54, saved.bytesPerLine())[:, : 3 * 96]
    assert read_index(rows.reshape(54, 96, 3)) == 3
    answers.path = str(tmp_path / "metrics.csv")
    pair_window.run("save-metrics")
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 41
    answers.path = str(tmp_path / "none" / "x.png")
    pair_window.run("snapshot")
    assert "does not exist" in pair_window.banner.label.text()
    assert pair_window.banner.isVisible()


def test_clipboard(pair_window) -> None:
    pair_window.player.seek(5)
    pair_window.run("copy-time")
    assert QGuiApplication.clipboard().text() == "frame 5 / 39   0:00.200"
    pair_window.run("copy-frame")
    assert QGuiApplication.clipboard().image().width() == pair_window.canvas.width()


def test_session(qtbot, pair_window, answers, tmp_path: Path) -> None:
    player = pair_window.player
    path = tmp_path / "a.nvsession"
    answers.path = str(path)
    player.seek(17)
    player.view.mode, player.view.zoom = Mode.SIDE, 3.0
    player.nudge(-2)
    player.transport.set_range(5, 30)
    pair_window.run("save-session")
    assert json.loads(path.read_text())["frame"] == 17
    pair_window.run("close-all")
    pair_window.run("load-session")
    assert player.shown_frame == 0
    qtbot.waitUntil(lambda: player.has_pair and player.shown_frame == 17, timeout=10_000)
    assert (player.view.mode, player.view.zoom, player.slots[1].offset) == (Mode.SIDE, 3.0, -2)
    assert player.transport.range == (5, 30)
    path.write_text("{}")
    pair_window.run("load-session")
    assert "no session" in player.message


def test_what_cannot_be_opened_is_a_banner(qtbot, pair_window) -> None:
    pair_window.handlers.open_text("hf://user", 1)
    assert "must be user/name" in pair_window.banner.label.text()
    pair_window.handlers.open_text("bad.nerv", 1)
    qtbot.waitUntil(lambda: "cannot be opened" in pair_window.banner.label.text())
    assert pair_window.player.has_pair


def test_settings_are_kept(qtbot, make_main_window) -> None:
    window = make_main_window(theme="dark")
    window.run("theme-light")
    window.actions_.keymap.assign("play", ("F5",))
    window.keys_changed()
    window.close()
    settings, note = load_settings()
    assert (settings.theme, settings.keys, note) == ("light", {"play": "F5"}, "")
    again = make_main_window(keys=settings.keys, window=settings.window)
    assert again.actions_.by_name["play"].shortcuts()[0].toString() == "F5"


@pytest.fixture
def real_window(qtbot, make_main_window, small_clip: Path, small_nerv: Path):
    window = make_main_window(real=True, device="cpu")
    window.handlers.open_text(str(small_clip), 0)
    window.handlers.open_text(str(small_nerv), 1)
    qtbot.waitUntil(lambda: window.player.has_pair and window.player.settled, timeout=60_000)
    return window


def test_real_files(qtbot, real_window, answers, *, tmp_path: Path, small_nerv: Path, small_clip: Path) -> None:
    from ffmpeg_bridge import open_source
    from nervplay.decode import open_decoder
    from nervplay.metrics import psnr

    window, player = real_window, real_window.player
    with open_decoder(small_nerv, device="cpu") as decoder, open_source(small_clip) as source:
        for frame in range(10):
            expected = psnr(decoder.frame(frame), source.frame(frame))
            assert player.track.tracks["psnr"].get(frame) == pytest.approx(expected)
        player.seek(4)
        qtbot.waitUntil(lambda: player.shown_frame == 4)
        assert np.array_equal(player.pictures[1][..., :3], decoder.frame(4))
    window.run("stages")
    qtbot.waitUntil(lambda: len(player.slots[1].stages) > 2)
    window.run("anchor-x264")
    qtbot.waitUntil(lambda: player.slots[2].is_open, timeout=60_000)
    assert player.slots[2].facts.file_bytes <= player.slots[1].facts.file_bytes
    qtbot.waitUntil(lambda: "x264" in player.rd.curves(), timeout=20_000)
    answers.path = str(tmp_path / "out.mp4")
    window.run("export")
    dialog = window.dialogs.shown["export"]
    with qtbot.waitSignal(dialog.finished_with, timeout=60_000) as ended:
        dialog.start_button.click()
    assert ended.args[0], ended.args[1]
    with av.open(answers.path) as container:
        assert container.streams.video[0].frames == 10
    written = Path(answers.path).read_bytes()
    with qtbot.waitSignal(dialog.finished_with, timeout=60_000) as ended:
        dialog.start_button.click()
        dialog.close()
        assert "export" in window.dialogs.shown, "it closes when the child has cleaned up"
    assert ended.args == [False, "the export was cancelled; nothing was written"]
    qtbot.waitUntil(lambda: "export" not in window.dialogs.shown)
    assert Path(answers.path).read_bytes() == written
    assert list(tmp_path.iterdir()) == [Path(answers.path)]
