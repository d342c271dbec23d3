"""The push dialog against the loopback Hub: login, form, progress, stop, refusals as sentences of the banner."""

from pathlib import Path

import pytest
from loopback_hub.checks import no_threads
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QLineEdit, QListWidget, QProgressBar

from app.core.publishing import Preview, Stage


@pytest.fixture
def open_push(qtbot, make_main_window, hub_home: Path, small_nerv: Path, small_clip: Path):
    """Return a function that opens the dialog over the small clip and its network, and waits for the login."""

    def open_push():
        window = make_main_window(real=True, device="cpu", metrics=False)
        window.handlers.open_text(str(small_clip), 0)
        window.handlers.open_text(str(small_nerv), 1)
        qtbot.waitUntil(lambda: window.player.has_pair, timeout=20_000)
        window.run("push-hub")
        dialog = window.dialogs.shown["push"]

        def known() -> bool:
            publisher = window.desk.publisher
            return publisher is not None and bool(publisher.account or publisher.login_problem)

        qtbot.waitUntil(known, timeout=20_000)
        return window, dialog

    yield open_push
    no_threads()


def test_a_push_from_the_window(qtbot, server, logged_in, open_push, answers, *, small_nerv: Path) -> None:
    window, dialog = open_push()
    assert dialog.login.text() == f"alice, a token that can write at {server.url} (not huggingface.co)"
    assert dialog.repository.text() == "alice/small"
    assert dialog.source.currentText() == "A: small.mp4"
    dialog.repository.setText("alice/first")
    dialog.licence.setCurrentText("cc-by-4.0")
    dialog.credit.setText("Jane Doe")
    dialog.tag.setText("v1")
    answers.path = str(small_nerv)
    dialog._add_variant()
    assert dialog.variants.item(0).text() == f"small: {small_nerv}"
    dialog.push_button.click()
    assert window.desk.publisher.stage is Stage.PREPARING
    assert not dialog.push_button.isEnabled()
    assert dialog.stop_button.text() == "Stop"
    assert dialog.bar.isVisible()
    qtbot.waitUntil(lambda: "published" in window.banner.label.text(), timeout=60_000)
    assert dialog.note.text() == window.banner.label.text()
    assert dialog.stop_button.text() == "Close"
    repository = server.repositories["alice/first"]
    assert repository.private
    assert repository.tags == {"v1": repository.head.sha}
    files = {path: server.data(file) for path, file in repository.head.files.items()}
    assert files["model.safetensors"] == files["variants/small.safetensors"] == small_nerv.read_bytes()
    assert files["preview/poster.webp"][8:12] == b"WEBP"
    assert files["preview/preview.mp4"][4:8] == b"ftyp"
    card = files["README.md"].decode()
    for words in ("license: cc-by-4.0", "Jane Doe", "type: psnr"):
        assert words in card


def test_nobody_is_logged_in(qtbot, server, open_push, hub_home: Path) -> None:
    window, dialog = open_push()
    assert dialog.login.text().startswith("nobody is logged in; log in first: nervplay hub login")
    assert not dialog.push_button.isEnabled()
    hub_home.mkdir(exist_ok=True)
    (hub_home / "token").write_text("hf_alice_secret")
    dialog.again.click()
    qtbot.waitUntil(lambda: dialog.login.text().startswith("alice"))
    assert dialog.push_button.isEnabled()
    assert not dialog.again.isVisible()
    dialog.repository.setText("nonsense")
    assert not dialog.push_button.isEnabled()
    dialog.repository.setText("a/../b")
    dialog.push_button.click()
    assert "a/../b" in window.banner.label.text()
    assert window.desk.publisher.stage is Stage.IDLE


def test_a_refusal_is_a_sentence(qtbot, server, logged_in, open_push) -> None:
    window, dialog = open_push()
    dialog.repository.setText("bob/clip")
    dialog.preview.setCurrentIndex(dialog.preview.findData(Preview.NONE))
    dialog.source.setCurrentIndex(0)
    dialog.push_button.click()
    qtbot.waitUntil(lambda: "your login may not change this repository" in window.banner.label.text())
    assert dialog.push_button.isEnabled()


def test_stop(qtbot, server, logged_in, open_push) -> None:
    window, dialog = open_push()
    dialog.push_button.click()
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert window.desk.publisher.words == "the push was stopped; nothing was published"
    qtbot.waitUntil(lambda: dialog.stop_button.text() == "Close")
    server.fail("PUT /put/", silence=20)
    dialog.preview.setCurrentIndex(dialog.preview.findData(Preview.NONE))
    dialog.source.setCurrentIndex(0)
    dialog.push_button.click()
    qtbot.waitUntil(lambda: bool(server.seen("PUT /put/")))
    dialog.stop_button.click()
    qtbot.waitUntil(lambda: window.desk.publisher.stage is Stage.IDLE)
    assert "stopped" in window.banner.label.text()
    assert server.repositories["alice/small"].head.files.keys() <= {".gitattributes"}
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: "push" not in window.dialogs.shown)


def test_closing_the_window_during_a_push(qtbot, server, logged_in, open_push) -> None:
    window, dialog = open_push()
    server.fail("PUT /put/", silence=20)
    dialog.preview.setCurrentIndex(dialog.preview.findData(Preview.NONE))
    dialog.source.setCurrentIndex(0)
    dialog.push_button.click()
    qtbot.waitUntil(lambda: bool(server.seen("PUT /put/")))
    window.close()
    server.over.set()
    no_threads()


def test_sources_and_variants(open_push, answers, tmp_path: Path) -> None:
    _window, dialog = open_push()
    answers.path = str(tmp_path / "other.mp4")
    place = dialog.source.findData("")
    dialog.source.setCurrentIndex(place)
    dialog.source.activated.emit(place)
    assert dialog.form().source == tmp_path / "other.mp4"
    answers.path = ""
    place = dialog.source.findData("")
    dialog.source.setCurrentIndex(place)
    dialog.source.activated.emit(place)
    assert dialog.form().source is None
    dialog._add_variant()
    assert dialog.variants.count() == 0
    answers.path = str(tmp_path / "low.nerv")
    dialog._add_variant()
    dialog._add_variant()
    assert dialog.form().variants == {"low": tmp_path / "low.nerv", "low-2": tmp_path / "low.nerv"}
    dialog.variants.setCurrentRow(0)
    dialog._remove_variant()
    assert list(dialog.form().variants) == ["low-2"]
    for kind in (QLineEdit, QComboBox, QListWidget, QProgressBar):
        assert all(widget.accessibleName() or widget.parent().accessibleName() for widget in dialog.findChildren(kind))


def test_what_is_no_file_cannot_be_published(qtbot, hub_home, pair_window) -> None:
    pair_window.run("push-hub")
    dialog = pair_window.dialogs.shown["push"]
    qtbot.waitUntil(lambda: pair_window.desk.publisher is not None)
    qtbot.waitUntil(lambda: "only a .nerv file can be published" in dialog.note.text())
    assert not dialog.push_button.isEnabled()
