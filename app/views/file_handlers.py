"""The commands of the File menu: open, save, copy."""

from pathlib import Path

from PySide6.QtCore import QMimeData
from PySide6.QtGui import QGuiApplication, QImage, QPixmap

from app.core.player import Player
from app.core.restoring import capture
from app.core.samples import find_sample
from app.core.session import SUFFIX, load_session, save_session
from app.core.sources import Kind, SourceRef, parse_source
from app.views.canvas.images import wrap
from app.views.shell import Shell
from app.views.words import frame_words
from nervplay.bitstream.atomic import atomic_write, replacing
from nervplay.errors import NervplayError, OutputError

__all__ = ["FileHandlers", "save_image"]

_SOURCES = (
    "Videos and neural videos (*.nerv *.safetensors *.mp4 *.mkv *.mov *.webm *.avi *.y4m *.pth *.pt *.zip)"
    ";;All files (*)"
)


def save_image(image: QImage | QPixmap, path: Path) -> None:
    """Write a picture as PNG, whole or not at all; an existing file is replaced.

    Raises:
        OutputError: it cannot be written.
    """
    with replacing(path, overwrite=True) as part:
        if not image.save(str(part), "PNG"):  # type: ignore[call-overload]  # the stubs want bytes for the format
            raise OutputError(f"{path} was not written; choose another place")


class FileHandlers:
    """Carries out what concerns files and the clipboard.

    Args:
        player: what is opened and saved.
        shell: the window.
    """

    def __init__(self, player: Player, shell: Shell) -> None:
        self.player, self.shell = player, shell

    def open_text(self, text: str, slot: int) -> None:
        """Open what a text names; what cannot be is said in the banner.

        Args:
            text: a path or an address.
            slot: 0 for A to 3 for D.
        """
        try:
            if text.endswith(SUFFIX):
                self.shell.restore(load_session(Path(text)))
            else:
                self.shell.open_sources([self._completed(parse_source(text).anchored())], slot)
        except NervplayError as error:
            self.player.say(str(error))

    def _completed(self, ref: SourceRef) -> SourceRef:
        """Ask for what a checkpoint does not hold; without an answer the refusal says what is missing."""
        if ref.kind is not Kind.OFFICIAL or ref.arguments:
            return ref
        question = f"The command line that {ref.title} was trained with, as --arch hnerv --modelsize 1.5 ...:"
        arguments = self.shell.asker.text(self.shell.widget, "Official checkpoint", question)
        return parse_source(f"{ref.text} --official {arguments}") if arguments.strip() else ref

    def ask_source(self, slot: int) -> None:
        """Ask for a file and open it."""
        path = self.shell.asker.open_file(self.shell.widget, f"Open {'ABCD'[slot]}", _SOURCES)
        if path:
            self.open_text(path, slot)

    def open_address(self) -> None:
        """Ask for an address or a path and open it as B."""
        text = self.shell.asker.text(self.shell.widget, "Open address", "hf://user/name, or a path:")
        if text:
            self.open_text(text, 1)

    def browse_hub(self) -> None:
        """Open the Hub browser."""
        self.shell.open_dialog("hub")

    def push_hub(self) -> None:
        """Open the push dialog."""
        self.shell.open_dialog("push")

    def open_sample(self) -> None:
        """Open the bundled clip as A and its neural video as B."""
        try:
            sample = find_sample()
        except NervplayError as error:
            self.player.say(str(error))
            return
        self.shell.open_sources([parse_source(str(sample.clip)), parse_source(str(sample.video))], 0)

    def close_all(self) -> None:
        """Empty all slots."""
        self.player.close_all()

    def save_session(self) -> None:
        """Ask for a file and write the session."""
        path = self._ask_target("Save session", f"session{SUFFIX}", f"Sessions (*{SUFFIX})", SUFFIX)
        if path is not None:
            self._try(lambda: save_session(capture(self.player), path), f"session saved as {path}")

    def load_session(self) -> None:
        """Ask for a session and go on with it."""
        path = self.shell.asker.open_file(self.shell.widget, "Load session", f"Sessions (*{SUFFIX})")
        if path:
            self._try(lambda: self.shell.restore(load_session(Path(path))), "")

    def export(self) -> None:
        """Open the export dialog."""
        self.shell.open_dialog("export")

    def snapshot(self) -> None:
        """Ask for a file and write what the canvas shows."""
        usual = f"view-{self.player.shown_frame:05d}.png"
        path = self._ask_target("Save the view", usual, "PNG (*.png)", ".png")
        if path is not None:
            self._try(lambda: save_image(self.shell.canvas.grab(), path), f"view saved as {path}")

    def save_frame(self) -> None:
        """Ask for a file and write the decoded frame of B, or of A where there is no B."""
        picture = self.player.pictures[1] if self.player.pictures[1] is not None else self.player.pictures[0]
        if picture is None:
            self.player.say("no frame is decoded yet; wait for the picture")
            return
        path = self._ask_target("Save frame", f"frame-{self.player.shown_frame:05d}.png", "PNG (*.png)", ".png")
        if path is not None:
            self._try(lambda: save_image(wrap(picture), path), f"frame saved as {path}")

    def save_metrics(self) -> None:
        """Ask for a file and write the metrics, a row per frame."""
        track = self.player.track
        path = self._ask_target("Save metrics", "metrics.csv", "CSV (*.csv)", ".csv")
        if path is not None and track is not None:
            text = track.to_csv().encode()
            self._try(lambda: atomic_write(path, text, overwrite=True), f"metrics saved as {path}")

    def copy_frame(self) -> None:
        """Put what the canvas shows on the clipboard."""
        QGuiApplication.clipboard().setPixmap(self.shell.canvas.grab())

    def copy_time(self) -> None:
        """Put frame and time on the clipboard."""
        data = QMimeData()
        data.setText(frame_words(self.player))
        QGuiApplication.clipboard().setMimeData(data)

    def quit(self) -> None:
        """Close the window."""
        self.shell.quit()

    def _ask_target(self, title: str, usual: str, kinds: str, suffix: str) -> Path | None:
        """Ask for a file to write; its ending is added where it lacks."""
        text = self.shell.asker.save_file(self.shell.widget, title, usual, kinds)
        if not text:
            return None
        return Path(text) if Path(text).suffix else Path(text + suffix)

    def _try(self, work: object, done: str) -> None:
        """Do something that may be refused, and say how it went."""
        assert callable(work)
        try:
            work()
        except NervplayError as error:
            self.player.say(str(error))
        else:
            if done:
                self.player.say(done)
