"""Publishing from the player, without its window: what was asked for, who is logged in, how far it is. Free of Qt.

    start ──> PREPARING (a child process decodes, measures, makes pictures) ──> SENDING (one commit) ──> IDLE

`cancel` stops either; until the commit the repository on the Hub stays as it was.
"""

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from app.core.facts import human_size
from app.core.hub_browser import Work
from app.core.running import Stop
from models_hub import Account, Address, Hub, Publication, Published
from models_hub.layout import variant_path
from nervplay.errors import Interrupted, NervplayError, UsageError

__all__ = ["LICENCES", "Looks", "LooksMaker", "Outcome", "Preview", "Publisher", "PushForm", "Stage", "variant_name"]

LICENCES = ("", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-3.0", "apache-2.0", "mit", "other")
"""Licences that are offered; the Hub knows more, and a user may write any of them."""


class Preview(StrEnum):
    """What poster and preview video show."""

    DECODED = "decoded"
    BESIDE = "beside"
    NONE = "none"


class Stage(StrEnum):
    """Where a push is."""

    IDLE = "idle"
    PREPARING = "preparing"
    SENDING = "sending"


@dataclass(frozen=True, kw_only=True)
class PushForm:
    """What a user asked to publish.

    Args:
        file: the .nerv file.
        repository: "user/name".
        private: of a new repository.
        title: heading of the page; the name of the repository where it is empty.
        license: of the clip as the Hub names it, or empty.
        credit: whose clip it is.
        tag: name of this version, or empty.
        variants: other rates of the clip, by name.
        source: the original clip, to measure against and to show beside; None for neither.
        preview: what the pictures show; `BESIDE` needs a source.
        device: where the network runs while it is measured.
    """

    file: Path
    repository: str
    private: bool = True
    title: str = ""
    license: str = ""
    credit: str = ""
    tag: str = ""
    variants: Mapping[str, Path] = field(default_factory=dict)
    source: Path | None = None
    preview: Preview = Preview.DECODED
    device: str = "auto"

    def check(self) -> None:
        """Refuse what the Hub cannot have, before any long work.

        Raises:
            UsageError: a name of repository, tag or variant that cannot be, or a preview that needs a source.
        """
        Address(repository=self.repository, revision=self.tag or None)
        for name in self.variants:
            variant_path(name)
        if self.preview is Preview.BESIDE and self.source is None:
            raise UsageError("a preview beside the source needs a source; choose one, or show the neural video alone")


@dataclass(frozen=True, kw_only=True)
class Looks:
    """What decoding gives for the page.

    Args:
        poster: WebP, or None.
        preview: MP4, or None.
        psnr, ms_ssim: means over the frames, None where they were not measured.
    """

    poster: bytes | None = None
    preview: bytes | None = None
    psnr: float | None = None
    ms_ssim: float | None = None


class Outcome(Protocol):
    """Who is told how the looks come along; all calls on the owner's thread."""

    def progressed(self, what: str, done: int, total: int) -> None:
        """`done` of `total` frames are done of a step."""
        ...

    def prepared(self, looks: Looks) -> None:
        """All is there."""
        ...

    def failed(self, message: str) -> None:
        """It could not be made, or was cancelled."""
        ...


LooksMaker = Callable[[PushForm, Outcome], Stop]
"""Begins to make the looks of a form and returns at once; the result stops it."""


def variant_name(path: Path, taken: Mapping[str, Path]) -> str:
    """Return a name for another rate of the clip: the file's, made of what the Hub takes, and not taken yet.

    Args:
        path: the file.
        taken: names that are in use.
    """
    plain = (
        "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in path.stem).strip("-.") or "variant"
    )
    plain = plain.replace("..", ".")[:48]
    return next(name for name in (plain, *(f"{plain}-{number}" for number in range(2, 99))) if name not in taken)


class Publisher:
    """A push at a time, and who is logged in. One thread owns it.

    Args:
        hub: the connection.
        work: runs what waits for the network.
        make_looks: makes pictures and figures away from the owner's thread.
        changed: called after every change, for a window to show it.
    """

    def __init__(self, hub: Hub, work: Work, make_looks: LooksMaker, changed: Callable[[], None]) -> None:
        self._hub, self._work, self._make_looks, self._changed = hub, work, make_looks, changed
        self._cancel = threading.Event()
        self._asking = threading.Event()
        self._stops: list[Stop] = []
        self._form: PushForm | None = None
        self.account: Account | None = None
        """Who is logged in, None while that is not known or nobody is."""
        self.login_problem = ""
        """Why there is no account, in one sentence; "" while that is not known."""
        self.stage = Stage.IDLE
        """What is being done."""
        self.words = ""
        """How far it is, or how the last push ended, in one sentence."""
        self.done, self.total = 0, 0
        """Progress of the stage; a total of 0 where it is not known."""
        self.failed_last = False
        """Whether the last push ended with an error."""
        self.published: Published | None = None
        """What the last push made."""

    def ask_who(self) -> None:
        """Ask the Hub who is logged in."""
        self._asking.set()
        asking = self._asking = threading.Event()
        self.account, self.login_problem = None, ""

        def known(account: Account) -> None:
            if asking is self._asking:
                self.account = account
                self._changed()

        def failed(error: NervplayError) -> None:
            if asking is self._asking:
                self.login_problem = str(error)
                self._changed()

        self._work.submit(lambda: self._hub.whoami(cancel=asking), known, failed)
        self._changed()

    def start(self, form: PushForm) -> None:
        """Publish; `stage`, `words`, `done` and `total` tell how far it is.

        Raises:
            UsageError: the form asks for what cannot be.
        """
        assert self.stage is Stage.IDLE, "one push at a time"
        form.check()
        self._form, self._cancel, self.published, self.failed_last = form, threading.Event(), None, False
        if form.preview is Preview.NONE and form.source is None:
            self.prepared(Looks())
            return
        self._set(Stage.PREPARING, "starting", 0, 0)
        self._stops.append(self._make_looks(form, self))

    def cancel(self) -> None:
        """Stop what goes on; nothing is published then."""
        self._cancel.set()
        if self.stage is Stage.PREPARING:
            self._stops[-1](wait=False)
            self._end("the push was stopped; nothing was published", failed=True)

    def close(self) -> None:
        """Stop everything for good and wait for child processes; nobody is told any more."""
        self._changed = lambda: None
        self._asking.set()
        self.cancel()
        for stop in self._stops:
            stop(wait=True)

    # Outcome: called while the looks are made

    def progressed(self, what: str, done: int, total: int) -> None:
        """Show how far a step of the preparation is."""
        if self.stage is Stage.PREPARING:
            self._set(Stage.PREPARING, f"{what}: {done} of {total} frames", done, total)

    def failed(self, message: str) -> None:
        """End: pictures or figures cannot be made."""
        if self.stage is Stage.PREPARING:
            self._end(message, failed=True)

    def prepared(self, looks: Looks) -> None:
        """Send the file with its looks."""
        form, cancel = self._form, self._cancel
        if form is None or cancel.is_set():
            return

        def told(done: int, total: int) -> None:
            self._work.report(lambda: self._sent(done, total))

        def push() -> Published:
            publication = Publication(
                video=form.file,
                title=form.title or form.repository.partition("/")[2],
                license=form.license,
                credit=form.credit,
                variants=form.variants,
                psnr=_finite(looks.psnr),
                ms_ssim=_finite(looks.ms_ssim),
                poster=looks.poster,
                preview=looks.preview,
            )
            return self._hub.push(
                publication, form.repository, private=form.private, tag=form.tag or None, progress=told, cancel=cancel
            )

        self._set(Stage.SENDING, "asking the Hub", 0, 0)
        self._work.submit(push, self._pushed, self._refused)

    def _sent(self, done: int, total: int) -> None:
        if self.stage is Stage.SENDING:
            self._set(Stage.SENDING, f"sent {human_size(done)} of {human_size(total)}", done, total)

    def _pushed(self, published: Published) -> None:
        self.published = published
        self._end(f"published as hf://{published.repository}; its page is {published.url}", failed=False)

    def _refused(self, error: NervplayError) -> None:
        stopped = isinstance(error, Interrupted)
        self._end("the push was stopped; nothing was published" if stopped else str(error), failed=True)

    def _set(self, stage: Stage, words: str, done: int, total: int) -> None:
        self.stage, self.words, self.done, self.total = stage, words, done, total
        self._changed()

    def _end(self, words: str, *, failed: bool) -> None:
        self._form, self.failed_last = None, failed
        self._set(Stage.IDLE, words, 0, 0)


def _finite(value: float | None) -> float | None:
    """Return a figure that a card can hold: identical frames have an infinite PSNR."""
    return value if value is not None and math.isfinite(value) else None
