"""The window: menus, modes, sources, canvas, timeline, transport, inspector; what is dropped on it is opened."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, Qt
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QDockWidget,
    QMainWindow,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.core.player import Player
from app.core.rd import RdPoint
from app.core.restoring import Restoring
from app.core.session import Session
from app.core.settings import save_settings
from app.core.sources import SourceRef
from app.core.vmaf import VmafLine
from app.views.actions import HELD, Actions
from app.views.asking import Asker
from app.views.banner import Banner
from app.views.canvas import Canvas, make_canvas
from app.views.canvas.labels import PaneLabels
from app.views.canvas.soft import SoftCanvas
from app.views.dialogs import Dialogs
from app.views.drop import DropArea
from app.views.empty_state import EmptyState
from app.views.handlers import Handlers
from app.views.inspector import Inspector
from app.views.source_bar import SourceBar
from app.views.status_line import StatusLine
from app.views.theme import apply_theme
from app.views.timeline import Timeline
from app.views.tool_bar import ModeBar
from app.views.transport_bar import TransportBar
from app.workers.engine import Engine
from app.workers.vmaf import start_vmaf
from nervplay.errors import NervplayError

if TYPE_CHECKING:
    from app.workers.hub_desk import HubDesk

__all__ = ["MainWindow"]


class MainWindow(QMainWindow):
    """The player's window. It owns the engine: closing it ends all threads and child processes.

    Args:
        player: what is shown.
        engine: its backend.
        asker: asks for files; the system's dialogs when None.
        canvas: "auto", "gpu" or "soft"; the setting when None.
        size: (width, height) for this run, which is not remembered; as the window was left when None.
    """

    def __init__(
        self,
        player: Player,
        engine: Engine,
        *,
        asker: Asker | None = None,
        canvas: str | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.player, self.engine = player, engine
        self.asker = asker or Asker()
        self._size = size
        self.setWindowTitle("nervplay")
        self.resize(*(size or (1440, 900)))
        self._restoring = Restoring(player)
        self.vmaf = VmafLine(player, partial(start_vmaf, self))
        self._dock = QDockWidget("Inspector", self)
        self._inspector_wanted = True
        self.handlers = Handlers(player, self)
        table = self.handlers.table()
        self._build_canvas(canvas or player.settings.canvas)
        self.actions_ = Actions(player, table, self.handlers.checked, self)
        self._canvas.flip_keys = self.actions_.keymap.keys(HELD)
        self.dialogs = Dialogs(self)
        self._desk: HubDesk | None = None
        self._build()
        self.actions_.fill(self.menuBar())
        for action in self.actions_.by_name.values():
            self.addAction(action)
        for event in ("view", "clip", "frame"):
            player.events.on(event, self._canvas_changed)
        for event in ("view", "clip"):
            player.events.on(event, self._layout_changed)
        player.events.on("clip", self._clip_changed)
        self._restore_window()
        self._clip_changed()

    @property
    def desk(self) -> "HubDesk":
        """What speaks with the Hub; made when it is needed first."""
        if self._desk is None:
            from app.workers.hub_desk import HubDesk

            self._desk = HubDesk(self)
            self._desk.arrived.connect(self._hub_arrived)
            self._desk.pushed.connect(self.player.say)
        return self._desk

    # Building

    def _build_canvas(self, kind: str) -> None:
        self._stack = QStackedWidget()
        self.empty = EmptyState(self.player, self.run, partial(self.handlers.open_text, slot=1))
        self._stack.addWidget(self.empty)
        self._use(make_canvas(self.player, kind))

    def _use(self, canvas: Canvas) -> None:
        """Put a canvas in place."""
        self._canvas = canvas
        self._labels = PaneLabels(self.player, canvas)
        self._stack.insertWidget(1, canvas)
        canvas.failed.connect(self._canvas_failed)

    def _canvas_failed(self, reason: str) -> None:
        """Let the soft canvas take over."""
        old, keys = self._canvas, self._canvas.flip_keys
        shown = self._stack.currentWidget() is old
        self._stack.removeWidget(old)
        self._use(SoftCanvas(self.player))
        self._canvas.flip_keys = keys
        old.deleteLater()
        if shown:
            self._stack.setCurrentIndex(1)
        self.statusBar().setToolTip(reason)
        self.player.events.emit("view")

    def _build(self) -> None:
        """Lay everything out."""
        by_name = self.actions_.by_name
        self.addToolBar(ModeBar(self.player, by_name, self))
        self.sources = SourceBar(self.player)
        self.banner = Banner(self.player)
        self.timeline = Timeline(self.player)
        self.transport = TransportBar(self.player, by_name)
        middle = DropArea(self._dropped)
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.sources)
        column.addWidget(self.banner)
        column.addWidget(self._stack, 1)
        column.addWidget(self.timeline)
        column.addWidget(self.transport)
        self.setCentralWidget(middle)
        self.inspector = Inspector(self.player)
        self.inspector.plot.chosen.connect(self._load_point)
        self._dock.setObjectName("inspector")
        self._dock.setWidget(self.inspector)
        close = self._dock.findChild(QAbstractButton, "qt_dockwidget_closebutton")
        if close is not None:
            close.clicked.connect(self.toggle_inspector)
        self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self._dock)
        self.status = StatusLine(self.player, self._canvas_words, self)
        self.setStatusBar(self.status)

    def _canvas_words(self) -> tuple[str, float]:
        return self._canvas.description, self._canvas.geometry_now().scale[1]

    # What commands ask for (app.views.shell.Shell)

    @property
    def widget(self) -> QWidget:
        """The window itself, as the parent of dialogs."""
        return self

    @property
    def canvas(self) -> Canvas:
        """The canvas in use."""
        return self._canvas

    @property
    def inspector_shown(self) -> bool:
        """Whether the inspector is visible."""
        return self._inspector_wanted

    @property
    def full_screen_on(self) -> bool:
        """Whether the window fills the screen."""
        return self.isFullScreen()

    def run(self, name: str) -> None:
        """Carry a command out as its menu entry would; one that is not available does nothing."""
        self.actions_.by_name[name].trigger()

    def set_theme(self, theme: str) -> None:
        """Use a theme and remember it."""
        self.player.settings.theme = theme
        apply_theme(theme)
        self.player.events.emit("options")

    def toggle_inspector(self) -> None:
        """Show or hide the inspector."""
        self._inspector_wanted = not self._inspector_wanted
        self._dock.setVisible(self._inspector_wanted and self.player.has_clip)
        self.player.events.emit("options")

    def toggle_full_screen(self) -> None:
        """Enter or leave full screen."""
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()

    def open_dialog(self, name: str) -> None:
        """Open one of the window's dialogs."""
        self.dialogs.open(name)

    def open_sources(self, refs: Sequence[SourceRef], first: int) -> None:
        """Open sources in slots from `first` on."""
        for slot, ref in zip(self.player.slots[first:], refs, strict=False):
            self.player.open(slot, ref)

    def restore(self, session: Session) -> None:
        """Go on with a session."""
        self._restoring.start(session)

    def quit(self) -> None:
        """Close the window."""
        self.close()

    # Events

    def _canvas_changed(self) -> None:
        """Paint other pictures, or the same ones another way."""
        self._canvas.pictures_changed()

    def _layout_changed(self) -> None:
        self._labels.refresh()

    def _clip_changed(self) -> None:
        """Show the canvas where there is something to show, and name it in the title."""
        player = self.player
        busy = any(slot.opening for slot in player.slots)
        page = 1 if player.has_clip or busy else 0
        if self._stack.currentIndex() != page:
            self._stack.setCurrentIndex(page)
            # a page that is not seen must not keep the window large
            policy = QSizePolicy.Policy.Ignored if page else QSizePolicy.Policy.Preferred
            self.empty.setSizePolicy(policy, policy)
            if page:
                self._canvas.setFocus()
        for widget in (self.timeline, self.transport, self.sources):
            widget.setVisible(bool(page))
        self._dock.setVisible(bool(page) and self._inspector_wanted)
        names = [slot.facts.title for slot in player.open_slots if slot.facts is not None]
        self.setWindowTitle(" / ".join([*names, "nervplay"]))

    def _dropped(self, texts: Sequence[str], slot: int) -> None:
        """Open what was dropped: one thing on its half, several from A on."""
        first = slot if len(texts) == 1 else 0
        for number, text in enumerate(texts[: len(self.player.slots) - first]):
            self.handlers.open_text(text, first + number)

    def _hub_arrived(self, address: str, slot: int, repository: str) -> None:
        """Open what was pulled from the Hub where that was asked for; else say that it is there."""
        if slot >= 0:
            self.handlers.open_text(address, slot)
        elif "hub" not in self.dialogs.shown:
            self.player.say(f"{repository} is on this computer now; open it from File, Browse the Hub")

    def _load_point(self, point: RdPoint) -> None:
        """Load a point of the rate/distortion plot as B."""
        self.player.open(self.player.slots[1], point.ref, precision=point.precision)

    def keys_changed(self) -> None:
        """Give all actions their keys again and remember them."""
        self.actions_.apply_keys()
        self._canvas.flip_keys = self.actions_.keymap.keys(HELD)
        self.player.settings.keys = self.actions_.keymap.changed()

    def settings_changed(self) -> None:
        """Take over settings that a dialog changed."""
        self.set_theme(self.player.settings.theme)
        self.player.memory_changed()

    def _restore_window(self) -> None:
        """Put window and docks where they were."""
        kept = self.player.settings.window
        if "geometry" in kept and self._size is None:
            self.restoreGeometry(QByteArray.fromHex(kept["geometry"].encode()))
        if "state" in kept:
            self.restoreState(QByteArray.fromHex(kept["state"].encode()))

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember settings; end threads and child processes."""
        self.hide()
        self.dialogs.shut_down()
        if self._desk is not None:
            self._desk.shut_down()
        self.vmaf.close()
        self.engine.shut_down()
        kept = self.player.settings.window
        if self._size is None:
            kept["geometry"] = bytes(self.saveGeometry().toHex().data()).decode()
        kept["state"] = bytes(self.saveState().toHex().data()).decode()
        try:
            save_settings(self.player.settings)
        except NervplayError as error:
            self.player.say(str(error))
        event.accept()
