"""The Hub browser in the window, against the loopback Hub: search, posters, metadata, pull, stop, open, offline."""

import io
import json
import threading
from pathlib import Path

import pytest
from loopback_hub import LoopbackHub
from loopback_hub.checks import no_threads
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLineEdit, QListWidget, QProgressBar

from app.core.hub_browser import Row

CARD = b"""---
library_name: nervplay
tags: [nerv-video, hnerv]
license: cc-by-4.0
model-index:
- name: x
  results:
  - task: {type: video-reconstruction}
    dataset: {type: x, name: x}
    metrics: [{type: psnr, value: 31.25}]
---
"""


def poster(red: int) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (320, 180), (red, 60, 60)).save(written, format="WEBP")
    return written.getvalue()


@pytest.fixture
def stocked(server: LoopbackHub, hub_home: Path, small_nerv: Path) -> LoopbackHub:
    """Alice's five videos."""
    for number in range(5):
        name = f"alice/clip{number}"
        server.add(name, "model.safetensors", small_nerv.read_bytes())
        server.add(name, "preview/poster.webp", poster(50 * number))
        server.add(name, "README.md", CARD, large=False)
    server.forget()
    return server


@pytest.fixture
def browse(qtbot, make_main_window, hub_home: Path):
    """Return a function that opens the browser in a window over real sources, and waits for the first answer."""

    def browse(window=None):
        window = window or make_main_window(real=True, device="cpu")
        window.run("browse-hub")
        dialog = window.dialogs.shown["hub"]
        qtbot.waitUntil(lambda: window.desk.browser is not None and not window.desk.browser.searching, timeout=20_000)
        qtbot.waitUntil(lambda: dialog.list.count() == len(window.desk.browser.rows))
        return window, dialog

    yield browse
    no_threads()


def chosen(dialog) -> Row:
    assert dialog.list.current is not None
    return dialog.list.current


def choose(dialog, name: str) -> None:
    (item,) = [
        dialog.list.item(place)
        for place in range(dialog.list.count())
        if dialog.list.item(place).text().startswith(name)
    ]
    dialog.list.setCurrentItem(item)


def test_rows_posters_and_facts(qtbot, stocked, browse) -> None:
    _window, dialog = browse()
    assert dialog.list.count() == 5
    assert dialog.list.item(0).text().splitlines() == ["alice/clip4", "hnerv   31.25 dB   cc-by-4.0"]
    qtbot.waitUntil(lambda: dialog.details._poster.pixmap().width() == 320)
    assert abs(dialog.details._poster.pixmap().toImage().pixelColor(9, 9).red() - 200) < 9
    qtbot.waitUntil(lambda: "10 frames" in dialog.details.facts["Picture"].text())
    facts = {name: label.text() for name, label in dialog.details.facts.items()}
    assert facts["Network"].startswith("hnerv, ")
    assert facts["Picture"] == "64x48, 10 frames, 25 frames/s"
    assert "bits per pixel" in facts["Size"]
    assert facts["Quality"] == "31.25 dB PSNR (its author's figures)"
    assert facts["Licence"] == "cc-by-4.0"
    qtbot.waitUntil(lambda: len(dialog.list._pictured) == 5)
    whole = [seen for seen in stocked.log if "model.safetensors" in seen.path and seen.status == 200]
    assert whole == [], "metadata comes by Range, without a download"
    assert dialog.endpoint.text() == f"This is {stocked.url}, not huggingface.co; it gets your login, too."
    assert dialog.endpoint.isVisible()


def test_search_by_keyboard(qtbot, stocked, browse) -> None:
    window, dialog = browse()
    assert dialog.field.hasFocus() or not dialog.isActiveWindow()
    stocked.forget()
    QTest.keyClicks(dialog.field, "clip2 #hnerv")
    QTest.keyClick(dialog.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: dialog.list.count() == 1)
    assert len(stocked.seen("GET /api/models")) == 1, "Enter searches once"
    QTest.keyClick(dialog.field, Qt.Key.Key_Down)
    QTest.keyClick(dialog.list, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.player.slots[1].is_open, timeout=20_000)
    assert len(stocked.seen("GET /api/models")) == 1, "Enter in the list opens"
    dialog.field.clear()
    QTest.keyClicks(dialog.field, "nothing-of-this-name")
    QTest.keyClick(dialog.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: dialog.list.count() == 0)
    dialog.grab()
    qtbot.waitUntil(lambda: dialog.note.text() == "0 videos")
    assert not dialog.details.buttons["b"].isEnabled()
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: "hub" not in window.dialogs.shown)


def test_pull_and_open_with_the_commit_in_the_session(qtbot, stocked, browse, answers, *, tmp_path: Path) -> None:
    window, dialog = browse()
    qtbot.waitUntil(lambda: len(dialog.list._pictured) == 5)
    shown = chosen(dialog).entry.revision
    dialog.details.buttons["pull"].click()
    qtbot.waitUntil(lambda: "on this computer" in dialog.details.state.text())
    assert not window.player.has_clip, "a pull alone opens nothing"
    assert not dialog.details.buttons["pull"].isEnabled()
    stocked.forget()
    dialog.details.buttons["b"].click()
    choose(dialog, "alice/clip1")
    dialog.details.buttons["a"].click()
    qtbot.waitUntil(lambda: window.player.has_pair, timeout=20_000)
    assert [slot.facts.title for slot in window.player.open_slots] == [
        f"hf://alice/clip1@{stocked.repositories['alice/clip1'].head.sha[:7]}",
        f"hf://alice/clip4@{shown[:7]}",
    ]
    answers.path = str(tmp_path / "a.nvsession")
    window.run("save-session")
    kept = json.loads(Path(answers.path).read_text())["sources"]
    assert kept[1] == {"kind": "hub", "text": f"hf://alice/clip4@{shown}", "arguments": ""}
    stocked.add("alice/clip4", "model.safetensors", b"changed since")
    stocked.forget()
    window.run("close-all")
    window.run("load-session")
    qtbot.waitUntil(lambda: window.player.has_pair, timeout=20_000)
    assert stocked.log == [], "a commit that is here takes no request"


def test_an_address_is_pinned_when_it_is_opened(qtbot, stocked, make_main_window) -> None:
    window = make_main_window(real=True, device="cpu")
    window.handlers.open_text("hf://alice/clip2", 1)
    qtbot.waitUntil(lambda: window.player.slots[1].is_open, timeout=20_000)
    commit = stocked.repositories["alice/clip2"].head.sha
    assert str(window.player.slots[1].ref) == f"hf://alice/clip2@{commit}"
    assert window.player.settings.recent == ["hf://alice/clip2"]
    no_threads()


def test_a_pull_is_stopped(qtbot, stocked, browse) -> None:
    window, dialog = browse()
    stocked.fail("GET /get/", trickle=300, times=-1)
    dialog.details.buttons["b"].click()
    qtbot.waitUntil(lambda: dialog.details.bar.isVisible() and dialog.details.bar.maximum() > 0)
    assert dialog.details.buttons["cancel"].isVisible()
    assert not dialog.details.buttons["pull"].isVisible()
    dialog.details.buttons["cancel"].click()
    qtbot.waitUntil(lambda: "stopped" in dialog.details.state.text())
    assert not dialog.details.bar.isVisible()
    assert not window.player.has_clip
    stocked.forget()
    dialog.details.buttons["b"].click()
    qtbot.waitUntil(lambda: window.player.slots[1].is_open, timeout=20_000)


def test_closing_during_a_pull_leaves_no_thread(qtbot, stocked, browse) -> None:
    window, dialog = browse()
    stocked.fail("GET /get/", trickle=100, times=-1)
    dialog.details.buttons["pull"].click()
    qtbot.waitUntil(lambda: dialog.details.bar.isVisible() and dialog.details.bar.maximum() > 0)
    window.close()
    no_threads()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("nervplay")] == []
    assert list((Path(window.desk.browser._hub.cache)).rglob("*.incomplete")) == []


def test_a_pull_goes_on_without_the_dialog(qtbot, stocked, browse) -> None:
    window, dialog = browse()
    stocked.fail("GET /get/", trickle=2000, times=-1)
    dialog.details.buttons["pull"].click()
    qtbot.waitUntil(dialog.details.bar.isVisible)
    dialog.close()
    qtbot.waitUntil(lambda: "hub" not in window.dialogs.shown)
    qtbot.waitUntil(lambda: "alice/clip4 is on this computer now" in window.player.message, timeout=20_000)
    window, dialog = browse(window)
    assert "on this computer" in dialog.list.item(0).text()


def test_refusals_are_sentences(qtbot, stocked, browse) -> None:
    _window, dialog = browse()
    stocked.repositories["alice/clip4"].gated = True
    dialog.details.buttons["b"].click()
    qtbot.waitUntil(lambda: "only to people who ask" in dialog.details.state.text())
    assert dialog.details.buttons["b"].isEnabled()
    stocked.fail("GET /api/models", status=429, headers={"Retry-After": "55"})
    dialog.search()
    qtbot.waitUntil(lambda: "try again in 55 seconds" in dialog.note.text())


def test_without_a_network(qtbot, stocked, browse) -> None:
    window, dialog = browse()
    dialog.details.buttons["pull"].click()
    qtbot.waitUntil(lambda: "on this computer" in dialog.details.state.text())
    stocked.fail("", cut_after=0, reset=True, times=-1)
    dialog.search()
    qtbot.waitUntil(lambda: "the Hub cannot be reached" in dialog.note.text(), timeout=20_000)
    qtbot.waitUntil(lambda: dialog.list.count() == 1)
    assert dialog.note.text().endswith("Shown: 1 video on this computer")
    assert dialog.list.item(0).text().startswith("alice/clip4")
    assert dialog.details.facts["Picture"].text() == "64x48, 10 frames, 25 frames/s"
    dialog.details.buttons["b"].click()
    qtbot.waitUntil(lambda: window.player.slots[1].is_open, timeout=20_000)
    stocked.forget()
    assert not dialog.local.isChecked()
    dialog.search()
    qtbot.waitUntil(lambda: dialog.list.count() == 5)
    stocked.forget()
    dialog.local.click()
    qtbot.waitUntil(lambda: dialog.list.count() == 1)
    assert not [seen for seen in stocked.log if seen.path.startswith("/api/")], (
        "posters may still come, nothing is asked"
    )
    assert dialog.note.text() == "1 video on this computer"
    dialog.local.click()
    qtbot.waitUntil(lambda: dialog.list.count() == 5)


def test_more(qtbot, stocked, browse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.core.hub_browser.PAGE", 2)
    _window, dialog = browse()
    assert (dialog.list.count(), dialog.note.text()) == (2, "2 videos so far")
    choose(dialog, "alice/clip3")
    dialog.more.click()
    qtbot.waitUntil(lambda: dialog.list.count() == 4)
    assert chosen(dialog).key == "alice/clip3"
    dialog.more.click()
    qtbot.waitUntil(lambda: dialog.list.count() == 5)
    qtbot.waitUntil(lambda: not dialog.more.isEnabled())


def test_without_the_library(qtbot, make_main_window, hub_home, monkeypatch: pytest.MonkeyPatch) -> None:
    from nervplay.errors import CapabilityError

    def refuse(**_: object) -> None:
        raise CapabilityError("the Hub needs huggingface_hub; install it: pip install 'nervplay[hub]'")

    monkeypatch.setattr("app.workers.hub_desk.Hub", refuse)
    window = make_main_window(real=True)
    window.run("browse-hub")
    dialog = window.dialogs.shown["hub"]
    qtbot.waitUntil(lambda: "pip install" in dialog.note.text())
    dialog.grab()
    dialog.search()


def test_everything_has_a_name(stocked, browse) -> None:
    _window, dialog = browse()
    for kind in (QLineEdit, QListWidget, QProgressBar):
        assert all(widget.accessibleName() for widget in dialog.findChildren(kind))
    buttons = [button for button in dialog.findChildren(QAbstractButton) if button.isVisible()]
    assert all(button.text() or button.accessibleName() or button.parent() is dialog.field for button in buttons)
    reachable = [button for button in buttons if button.focusPolicy() & Qt.FocusPolicy.TabFocus]
    assert {"Open as &A", "Open as &B", "&Pull", "&Search", "Close"} <= {button.text() for button in reachable}
    item = dialog.list.item(0)
    assert item.data(Qt.ItemDataRole.AccessibleTextRole).startswith("alice/clip4, hnerv")
    theirs = [dialog.details.name, dialog.details.state, dialog.note, *dialog.details.facts.values()]
    assert {label.textFormat() for label in theirs} == {Qt.TextFormat.PlainText}, "strangers write these"
