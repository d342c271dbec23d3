"""The window's place for the Hub: connection, browser, publisher, posters.

Dialogs come and go; pulls and pushes go on until the window closes.
"""

from collections import OrderedDict
from functools import partial

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from app.core.hub_browser import HubBrowser, Query, Row
from app.core.publishing import Publisher, Stage
from app.workers.network import NetworkWork
from app.workers.posters import read_poster
from app.workers.publishing import start_looks
from models_hub import Clip, Hub
from nervplay.errors import NervplayError

__all__ = ["HubDesk"]

_POSTERS = 300
"""Pictures that are kept; those shown longest ago go first."""


class HubDesk(QObject):
    """Owns all that talks to the Hub for one window; made and used on the window's thread. Nothing is asked at first.

    Args:
        parent: the window.
    """

    changed = Signal()
    """Something that dialogs show is another; they look at `browser` and `publisher`."""
    arrived = Signal(str, int, str)
    """A pull is done: its address with the commit; the slot to open it in, -1 for none; the repository."""
    pushed = Signal(str)
    """A push has ended: how, in one sentence."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._work = NetworkWork(self)
        self._images: OrderedDict[str, QImage | None] = OrderedDict()
        self._connecting = self._pushing = False
        self.hub: Hub | None = None
        """The connection, None before it is made."""
        self.browser: HubBrowser | None = None
        """What is searched and pulled, None without a connection."""
        self.publisher: Publisher | None = None
        """What is pushed, None without a connection."""
        self.notice = ""
        """What the Hub's calls said last: that they wait, or begin again."""
        self.problem = ""
        """Why there is no connection, in one sentence."""

    def connect_hub(self) -> None:
        """Make the connection, in a thread: its library takes its time to load. `changed` follows."""
        if self.hub is None and not self._connecting:
            self._connecting, self.problem = True, ""
            self._work.submit(lambda: Hub(notice=self._tell), self._connected, self._refused)

    def _tell(self, sentence: str) -> None:
        """Take a notice, from any thread."""
        self._work.report(partial(self._notice, sentence))

    def _notice(self, sentence: str) -> None:
        self.notice = sentence
        self.changed.emit()

    def _connected(self, hub: Hub) -> None:
        self.hub, self._connecting = hub, False
        self.browser = HubBrowser(hub, self._work, self._browser_changed, self._arrived)
        self.publisher = Publisher(hub, self._work, partial(start_looks, self), self._publisher_changed)
        self.browser.search(Query())

    def _refused(self, error: NervplayError) -> None:
        self._connecting, self.problem = False, str(error)
        self.changed.emit()

    def _browser_changed(self) -> None:
        if self.browser is not None and not self.browser.searching:
            self.notice = ""
        self.changed.emit()

    def _publisher_changed(self) -> None:
        was, self._pushing = self._pushing, self.publisher is not None and self.publisher.stage is not Stage.IDLE
        self.changed.emit()
        if was and not self._pushing and self.publisher is not None:
            self.notice = ""
            self.pushed.emit(self.publisher.words)

    def _arrived(self, clip: Clip, slot: int | None) -> None:
        self.arrived.emit(str(clip.address), -1 if slot is None else slot, clip.repository)

    def poster(self, row: Row) -> QImage | None:
        """Return the poster of a row; None while it is not there, or where it cannot be shown. `changed` follows.

        Args:
            row: of the browser.
        """
        if not row.poster:
            return None
        name = f"{row.entry.repository}@{row.entry.revision}"
        if name in self._images:
            self._images.move_to_end(name)
            return self._images[name]
        self._images[name] = None
        while len(self._images) > _POSTERS:
            self._images.popitem(last=False)
        self._work.submit(partial(read_poster, row.poster), partial(self._decoded, name), self._refused)
        return None

    def _decoded(self, name: str, image: QImage) -> None:
        if not image.isNull():
            self._images[name] = image
            self.changed.emit()

    def shut_down(self) -> None:
        """Stop everything and wait for it: the window closes. Idempotent."""
        if self.browser is not None:
            self.browser.close()
        if self.publisher is not None:
            self.publisher.close()
        self._work.shut_down()
